/**
 * DPoP (RFC 9449): a token bound to a key serves only who signs each request with that key. A proof is a JWT of the
 * method, the address, the moment and, with a token, the token's hash.
 *
 * Laws: a proof serves once, on whichever node (table `seen_assertions`), and for a few minutes; the token endpoint
 * wants a nonce of ours in it besides, which any node with the installation's key can check and nobody else make.
 *
 * Called by auth.ts for bound tokens and by okta/oauthServer.ts.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from "jose";
import { type Database, sql } from "../store/database.ts";
import type { Key } from "../store/secrets.ts";
import { ApiError } from "./errors.ts";

/** Signatures that we accept, of proofs and assertions alike. */
export const signature_algorithms = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"];

const age_s = 300;
const nonce_s = 300;
const header_max = 8_192;

/** A proof that was checked: the thumbprint of its key, and the nonce it holds. */
export type Proof = Readonly<{ jkt: string; nonce: string | undefined; ath: string | undefined }>;

/** Reads and checks the request's proof; undefined: there is none, or it proves nothing. */
export async function readProof(db: Database, request: FastifyRequest): Promise<Proof | undefined> {
  const given = request.headers["dpop"];
  if (typeof given !== "string" || given.length > header_max) return undefined;
  try {
    const { payload, protectedHeader } = await jwtVerify(given, EmbeddedJWK, {
      typ: "dpop+jwt",
      algorithms: signature_algorithms,
      requiredClaims: ["jti", "iat", "htm", "htu"],
      maxTokenAge: age_s,
      clockTolerance: 30,
    });
    const { jti = "", htm, htu, nonce, ath } = payload;
    const path = request.url.split("?", 1)[0];
    if (htm !== request.method || String(htu).split(/[?#]/, 1)[0] !== `${request.base_url}${path}`) return undefined;
    const jkt = await calculateJwkThumbprint(protectedHeader.jwk ?? {});
    if (!(await firstUse(db, `dpop ${jkt} ${jti}`, new Date(Date.now() + 2 * age_s * 1000)))) return undefined;
    return { jkt, nonce: textOf(nonce), ath: textOf(ath) };
  } catch {
    // Not a JWT, not signed by its key, too old, or not for this request.
    return undefined;
  }
}

const textOf = (value: unknown) => (typeof value === "string" ? value : undefined);

/** @throws ApiError 401 E0000011 unless the request proves the key that the token is bound to. */
export async function requireProof(
  { db }: Readonly<{ db: Database }>,
  request: FastifyRequest,
  { jkt, token }: Readonly<{ jkt: string; token: string }>,
): Promise<void> {
  const proof = await readProof(db, request);
  const ath = createHash("sha256").update(token).digest("base64url");
  if (proof?.jkt === jkt && proof.ath === ath) return;
  throw new ApiError(401, "E0000011", "Invalid token provided", ["The token is bound to a key: send its DPoP proof"]);
}

/** Is this the first time that we see this id? It is remembered until `until`, by every node. */
export async function firstUse(db: Database, id: string, until: Date): Promise<boolean> {
  const hash = createHash("sha256").update(id).digest("base64url");
  await sql`delete from seen_assertions where expires_at <= ${new Date()}::timestamptz`.execute(db);
  const { rows } = await sql`
    insert into seen_assertions (id, expires_at) values (${hash}, ${until}::timestamptz)
    on conflict do nothing returning id`.execute(db);
  return rows.length > 0;
}

/** A nonce for the token endpoint: when it was made, and our seal on it. */
export function newNonce(key: Key, now_ms: number = Date.now()): string {
  const at = Math.floor(now_ms / 1000).toString(36);
  return `${at}.${sealOf(key, at)}`;
}

/** Is this a nonce of ours that is not too old? */
export function isNonce(key: Key, nonce: string | undefined, now_ms: number = Date.now()): boolean {
  const [at = "", seal = ""] = (nonce ?? "").split(".");
  const [mine, given] = [Buffer.from(sealOf(key, at)), Buffer.from(seal)];
  const age = now_ms / 1000 - Number.parseInt(at, 36);
  return mine.length === given.length && timingSafeEqual(mine, given) && age >= -1 && age <= nonce_s;
}

const sealOf = (key: Key, at: string) => createHmac("sha256", key.bytes).update(`dpop nonce ${at}`).digest("base64url");
