/**
 * Who a client is, at the token endpoint: by its secret (in the header or the body) or by an assertion that it signed
 * with its private key or its secret (RFC 6749, 7521, 7523).
 *
 * Laws: a client signs in as its settings say and in no other way (its secret may come either way); an assertion names
 * the client as issuer and subject and us as audience, ends within an hour, and serves once; whatever is wrong, the
 * answer is the same invalid_client, so that nobody learns which clients there are.
 */
import type { FastifyRequest } from "fastify";
import { decodeJwt, decodeProtectedHeader, importJWK, type JWTPayload, jwtVerify } from "jose";
import { type Client, clientOf, listSecrets, secretFits } from "../directory/clients.ts";
import type { Api } from "./api.ts";
import { firstUse, signature_algorithms } from "./dpop.ts";

/** What a client sends to a token endpoint, as read from the form. */
export type Form = Readonly<Record<string, string | undefined>>;

/** An error as OAuth has it. */
export type OauthError = Readonly<{ status: number; error: string; error_description: string }>;

const assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const lifetime_max_s = 3_600;
const tolerance_s = 30;
const assertion_max = 16_384;
const keys_max = 20;

const unknown: OauthError = {
  status: 401,
  error: "invalid_client",
  error_description: "The client is not known, is switched off, or did not prove who it is as its settings say.",
};

/** The client that sent the request, or why not. */
export async function clientOfRequest(api: Api, request: FastifyRequest, form: Form): Promise<Client | OauthError> {
  const basic = readBasic(request.headers.authorization);
  const assertion = form["client_assertion"];
  const ways = [basic !== undefined, form["client_secret"] !== undefined, assertion !== undefined];
  if (ways.filter(Boolean).length !== 1) {
    const error_description = "Send one of: client_assertion, client_secret, or an Authorization header of type Basic.";
    return { status: 401, error: "invalid_client", error_description };
  }
  if (assertion !== undefined) return byAssertion(api, request, form, assertion);
  const { id, secret } = basic ?? { id: form["client_id"] ?? "", secret: form["client_secret"] ?? "" };
  const client = await clientOf(api.db, id);
  const right = client !== undefined && secretFits(client, secret);
  if (client === undefined || !client.active || !right) return unknown;
  return ["client_secret_basic", "client_secret_post"].includes(client.auth_method) ? client : unknown;
}

function readBasic(header: string | undefined): Readonly<{ id: string; secret: string }> | undefined {
  const given = /^Basic ([A-Za-z0-9+/]+=*)$/i.exec(header ?? "")?.[1];
  if (given === undefined) return undefined;
  const text = Buffer.from(given, "base64").toString();
  const at = text.indexOf(":");
  try {
    const [id, secret] = [text.slice(0, Math.max(0, at)), text.slice(at + 1)].map((part) =>
      decodeURIComponent(part.replaceAll("+", " ")),
    );
    return { id: id ?? "", secret: secret ?? "" };
  } catch {
    return { id: "", secret: "" };
  }
}

async function byAssertion(
  api: Api,
  request: FastifyRequest,
  form: Form,
  assertion: string,
): Promise<Client | OauthError> {
  if (form["client_assertion_type"] !== assertion_type || assertion.length > assertion_max) return unknown;
  const claimed = claimsOf(assertion);
  const client = await clientOf(api.db, form["client_id"] ?? claimed?.iss ?? "");
  if (client === undefined || !client.active) return unknown;
  const claims = await verified(api, client, assertion, [
    `${request.base_url}${request.url.split("?", 1)[0]}`,
    `${request.base_url}/oauth2/v1/token`,
    request.base_url,
  ]);
  const now_s = Date.now() / 1000;
  if (claims === undefined || (claims.exp ?? 0) > now_s + lifetime_max_s + tolerance_s) return unknown;
  // Without an id of its own, the assertion's text is what serves once.
  const id = `assertion ${client.client_id} ${claims.jti ?? assertion}`;
  const until = new Date((now_s + lifetime_max_s + 2 * tolerance_s) * 1000);
  return (await firstUse(api.db, id, until)) ? client : unknown;
}

function claimsOf(assertion: string): JWTPayload | undefined {
  try {
    return decodeJwt(assertion);
  } catch {
    return undefined;
  }
}

/** The claims of an assertion that one of the client's keys or secrets signed; undefined: none did. */
async function verified(
  api: Api,
  client: Client,
  assertion: string,
  audience: string[],
): Promise<JWTPayload | undefined> {
  const { client_id: id } = client;
  const options = { issuer: id, subject: id, audience, requiredClaims: ["exp"], clockTolerance: tolerance_s };
  for (const { key, algorithms } of await keysOf(api, client, assertion)) {
    try {
      return (await jwtVerify(assertion, await key(), { ...options, algorithms })).payload;
    } catch {
      // Not this key: the next one.
    }
  }
  return undefined;
}

type Candidate = Readonly<{ key: () => ReturnType<typeof importJWK>; algorithms: string[] }>;

async function keysOf(api: Api, client: Client, assertion: string): Promise<readonly Candidate[]> {
  if (client.auth_method === "client_secret_jwt") {
    const secrets = await listSecrets(api.db, api.tools.key, client.app_id, api.world.now());
    return secrets
      .filter(({ status }) => status === "ACTIVE")
      .map(({ secret }) => ({
        key: async () => new TextEncoder().encode(secret),
        algorithms: ["HS256", "HS384", "HS512"],
      }));
  }
  if (client.auth_method !== "private_key_jwt") return [];
  const { kid, alg = "" } = headerOf(assertion);
  if (!signature_algorithms.includes(alg)) return [];
  return client.jwks
    .filter((jwk) => kid === undefined || jwk.kid === undefined || jwk.kid === kid)
    .slice(0, keys_max)
    .map((jwk) => ({ key: () => importJWK(jwk, alg), algorithms: [alg] }));
}

function headerOf(assertion: string): Readonly<{ kid?: string | undefined; alg?: string | undefined }> {
  try {
    return decodeProtectedHeader(assertion);
  } catch {
    return {};
  }
}
