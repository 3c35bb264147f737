/** Tokens for clients: how they prove who they are, which scopes they get, keys that tokens are bound to, and the end. */
import { createHash, randomUUID } from "node:crypto";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { rateLimit } from "../../src/server/rate.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";

const token_url = "http://tenure.test/oauth2/v1/token";
let db: Database;
let api: TestApi;
let pair: { privateKey: CryptoKey; publicKey: CryptoKey };
let jwk: JWK;

beforeAll(async () => {
  db = await memoryDatabase();
  pair = await generateKeyPair("RS256", { extractable: true });
  jwk = { ...(await exportJWK(pair.publicKey)), kid: "k1", use: "sig", alg: "RS256" };
});
afterAll(() => db.destroy());
beforeEach(async () => {
  await wipe(db);
  api = await testApi(db);
});

type Form = Readonly<Record<string, string>>;

async function post(path: string, form: Form, headers: Form = {}) {
  const answer = await api.server.inject({
    method: "POST",
    url: `/oauth2/v1/${path}`,
    headers: { host: "tenure.test", "content-type": "application/x-www-form-urlencoded", ...headers },
    payload: new URLSearchParams(form).toString(),
  });
  return { status: answer.statusCode, headers: answer.headers, body: answer.body === "" ? {} : answer.json() };
}

/** A service app with these scopes; gives its id and, if it has one, its secret. */
async function client(auth_method: string, scopes: readonly string[], more: object = {}) {
  const { body, status } = await api.call("POST", "/api/v1/apps", {
    ...{ name: "oidc_client", label: `Client ${randomUUID()}`, signOnMode: "OPENID_CONNECT" },
    credentials: { oauthClient: { token_endpoint_auth_method: auth_method } },
    settings: {
      oauthClient: {
        ...{ grant_types: ["client_credentials"], response_types: ["token"], application_type: "service" },
        ...(auth_method === "private_key_jwt" ? { jwks: { keys: [jwk] } } : {}),
        ...more,
      },
    },
  });
  expect([status, body.errorCauses]).toEqual([200, undefined]);
  for (const scopeId of scopes) {
    const granted = await api.call("POST", `/api/v1/apps/${body.id}/grants`, { scopeId, issuer: "http://tenure.test" });
    expect(granted.status).toBe(200);
  }
  return { id: body.id as string, secret: body.credentials.oauthClient.client_secret as string };
}

type Claims = Readonly<{
  aud?: string;
  exp?: string | number;
  iss?: string;
  sub?: string;
  jti?: string;
  key?: CryptoKey;
}>;

function assertion(id: string, claims: Claims = {}): Promise<string> {
  return new SignJWT({ jti: claims.jti ?? randomUUID() })
    .setProtectedHeader({ alg: "RS256", kid: "k1" })
    .setIssuer(claims.iss ?? id)
    .setSubject(claims.sub ?? id)
    .setAudience(claims.aud ?? token_url)
    .setIssuedAt()
    .setExpirationTime(claims.exp ?? "5m")
    .sign(claims.key ?? pair.privateKey);
}

const asking = (client_assertion: string, scope = "okta.users.read"): Form => ({
  ...{ grant_type: "client_credentials", scope, client_assertion },
  client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
});
const people = async (token: string, method = "GET") =>
  (
    await api.server.inject({
      method: method as "GET",
      url: "/api/v1/users",
      headers: { authorization: `Bearer ${token}` },
    })
  ).statusCode;

describe("a client that proves who it is gets a token for the scopes that it was granted", () => {
  test("by its private key; the token opens what the scope says, and ends with the grant", async () => {
    const { id } = await client("private_key_jwt", ["okta.users.read", "okta.groups.manage"]);
    const { status, body } = await post("token", asking(await assertion(id)));
    expect([status, body.token_type, body.expires_in, body.scope]).toEqual([200, "Bearer", 3600, "okta.users.read"]);
    expect(await people(body.access_token)).toBe(200);
    expect(await people(body.access_token, "POST")).toBe(403);
    const [grant] = (await api.call("GET", `/api/v1/apps/${id}/grants`)).body.filter(
      ({ scopeId }: { scopeId: string }) => scopeId === "okta.users.read",
    );
    await api.call("DELETE", `/api/v1/apps/${id}/grants/${grant.id}`);
    expect(await people(body.access_token)).toBe(403);
  });

  test.each(["client_secret_basic", "client_secret_post", "client_secret_jwt"])("by %s", async (method) => {
    const { id, secret } = await client(method, ["okta.users.read"]);
    const form = { grant_type: "client_credentials", scope: "okta.users.read" };
    const jwt = async () =>
      new SignJWT({ jti: randomUUID() })
        .setProtectedHeader({ alg: "HS256" })
        .setIssuer(id)
        .setSubject(id)
        .setAudience(token_url)
        .setExpirationTime("5m")
        .sign(new TextEncoder().encode(secret));
    const basic = { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}` };
    const answer =
      method === "client_secret_basic"
        ? await post("token", form, basic)
        : method === "client_secret_post"
          ? await post("token", { ...form, client_id: id, client_secret: secret })
          : await post("token", asking(await jwt()));
    expect([answer.status, answer.body.error_description]).toEqual([200, undefined]);
    expect(await people(answer.body.access_token)).toBe(200);
  });

  test("it is told, asked about and ended by its client only, and ends when the app is switched off", async () => {
    const { id, secret } = await client("client_secret_post", ["okta.users.read"]);
    const other = await client("client_secret_post", ["okta.users.read"]);
    const own = { client_id: id, client_secret: secret };
    const get = async () =>
      (await post("token", { ...own, grant_type: "client_credentials", scope: "okta.users.read" })).body.access_token;
    const token = await get();
    expect((await post("introspect", { ...own, token })).body).toMatchObject({ active: true, client_id: id });
    const theirs = { client_id: other.id, client_secret: other.secret, token };
    expect((await post("introspect", theirs)).body).toEqual({ active: false });
    expect((await post("revoke", theirs)).status).toBe(200);
    expect(await people(token)).toBe(200);
    expect((await post("revoke", { ...own, token })).status).toBe(200);
    expect(await people(token)).toBe(401);
    const second = await get();
    await api.call("POST", `/api/v1/apps/${id}/lifecycle/deactivate`);
    expect(await people(second)).toBe(401);
    expect((await post("token", { ...own, grant_type: "client_credentials", scope: "okta.users.read" })).status).toBe(
      401,
    );
  });
});

describe("everything else is refused in OAuth's words", () => {
  test.each<[string, Claims]>([
    ["somebody else's key", { key: undefined as never }],
    ["another audience", { aud: "https://elsewhere.example" }],
    ["one that has ended", { exp: 1_000 }],
    ["one that lasts too long", { exp: "3h" }],
    ["another subject", { sub: "0oa00000000000000001" }],
  ])("an assertion with %s", async (what, claims) => {
    const { id } = await client("private_key_jwt", ["okta.users.read"]);
    const stranger = (await generateKeyPair("RS256")).privateKey;
    const given = what === "somebody else's key" ? { key: stranger } : claims;
    const { status, body } = await post("token", asking(await assertion(id, given)));
    expect([status, body.error]).toEqual([401, "invalid_client"]);
  });

  test("an assertion serves once", async () => {
    const { id } = await client("private_key_jwt", ["okta.users.read"]);
    const form = asking(await assertion(id));
    expect((await post("token", form)).status).toBe(200);
    expect((await post("token", form)).body.error).toBe("invalid_client");
  });

  test.each<[string, Form, number, string]>([
    ["a wrong secret", { client_secret: "wrong-wrong-wrong" }, 401, "invalid_client"],
    ["an unknown client", { client_id: "0oa0000000000nobody0" }, 401, "invalid_client"],
    ["a scope that was not granted", { scope: "okta.users.manage" }, 400, "invalid_scope"],
    ["no scope", { scope: "" }, 400, "invalid_scope"],
    ["another grant", { grant_type: "password" }, 400, "unsupported_grant_type"],
  ])("%s", async (_what, change, status, error) => {
    const { id, secret } = await client("client_secret_post", ["okta.users.read"]);
    const form = { grant_type: "client_credentials", scope: "okta.users.read", client_id: id, client_secret: secret };
    const answer = await post("token", { ...form, ...change });
    expect([answer.status, answer.body.error]).toEqual([status, error]);
    expect(JSON.stringify(answer.body)).not.toContain(secret);
  });

  test("only super administrators grant scopes, and change a client that has some", async () => {
    const { id } = await client("private_key_jwt", ["okta.users.read"]);
    const token = await api.tokenOf("APP_ADMIN");
    const grant = { scopeId: "okta.roles.manage", issuer: "http://tenure.test" };
    expect((await api.call("POST", `/api/v1/apps/${id}/grants`, grant, token)).status).toBe(403);
    expect((await api.call("POST", `/api/v1/apps/${id}/credentials/secrets`, {}, token)).status).toBe(403);
    expect((await api.call("PUT", `/api/v1/apps/${id}`, {}, token)).status).toBe(403);
  });
});

describe("a token that is bound to a key serves only who holds it", () => {
  const proof = (claims: Form, key = pair.privateKey) =>
    new SignJWT({ jti: randomUUID(), ...claims })
      .setProtectedHeader({
        alg: "RS256",
        typ: "dpop+jwt",
        jwk: { kty: jwk.kty ?? "", n: jwk.n ?? "", e: jwk.e ?? "" },
      })
      .setIssuedAt()
      .sign(key);

  test("with a nonce of ours at the token endpoint and a proof with every request", async () => {
    const { id } = await client("private_key_jwt", ["okta.users.read"], { dpop_bound_access_tokens: true });
    const htm = "POST";
    expect((await post("token", asking(await assertion(id)))).body.error).toBe("invalid_dpop_proof");
    const first = await post("token", asking(await assertion(id)), { dpop: await proof({ htm, htu: token_url }) });
    expect([first.status, first.body.error]).toEqual([400, "use_dpop_nonce"]);
    const nonce = String(first.headers["dpop-nonce"]);
    const dpop = await proof({ htm, htu: token_url, nonce });
    const { body } = await post("token", asking(await assertion(id)), { dpop });
    expect(body.token_type).toBe("DPoP");
    const ath = createHash("sha256").update(body.access_token).digest("base64url");
    const htu = "http://tenure.test/api/v1/users";
    const call = async (scheme: string, given?: string) =>
      (
        await api.server.inject({
          url: "/api/v1/users",
          headers: {
            ...{ host: "tenure.test", authorization: `${scheme} ${body.access_token}` },
            ...(given === undefined ? {} : { dpop: given }),
          },
        })
      ).statusCode;
    const good = await proof({ htm: "GET", htu, ath });
    expect(await call("DPoP", good)).toBe(200);
    // Heard once, said again; stolen without the key; for another method, address or token.
    expect(await call("DPoP", good)).toBe(401);
    expect(await call("Bearer")).toBe(401);
    expect(await call("Bearer", await proof({ htm: "GET", htu, ath }))).toBe(401);
    expect(await call("DPoP", await proof({ htm: "POST", htu, ath }))).toBe(401);
    expect(await call("DPoP", await proof({ htm: "GET", htu: "http://tenure.test/api/v1/groups", ath }))).toBe(401);
    expect(await call("DPoP", await proof({ htm: "GET", htu, ath: "x" }))).toBe(401);
    const stranger = (await generateKeyPair("RS256")).privateKey;
    expect(await call("DPoP", await proof({ htm: "GET", htu, ath }, stranger))).toBe(401);
  });
});

describe("API tokens of administrators", () => {
  test("are listed without their text, renamed, and ended; one may end itself", async () => {
    const reader = await api.tokenOf("READ_ONLY_ADMIN");
    const listed = (await api.call("GET", "/api/v1/api-tokens")).body;
    expect(listed).toHaveLength(2);
    expect(JSON.stringify(listed)).not.toContain(reader);
    const { id } = listed[1];
    expect((await api.call("PUT", `/api/v1/api-tokens/${id}`, { name: "Reports" })).body.name).toBe("Reports");
    const zone = { network: { connection: "ZONE", include: ["nzo1"] } };
    expect((await api.call("PUT", `/api/v1/api-tokens/${id}`, zone)).status).toBe(400);
    expect((await api.call("DELETE", "/api/v1/api-tokens/current", undefined, reader)).status).toBe(204);
    expect((await api.call("GET", "/api/v1/users", undefined, reader)).status).toBe(401);
    const gone = await api.call("GET", `/api/v1/api-tokens/${id}`);
    expect([gone.status, gone.body.errorSummary]).toEqual([404, `Not found: Resource not found: ${id} (Token)`]);
  });

  test("end by themselves after thirty idle days, where that is switched on", async () => {
    const idle = await api.tokenOf("READ_ONLY_ADMIN");
    await sql`update tokens set created_at = now() - interval '31 days', last_used_at = null where role = 'READ_ONLY_ADMIN'`.execute(
      db,
    );
    await api.call("POST", "/api/v1/features/ftrIdleTokensExpired/ENABLE");
    expect((await api.call("GET", "/api/v1/users", undefined, idle)).status).toBe(401);
    await api.call("POST", "/api/v1/features/ftrIdleTokensExpired/DISABLE");
    expect((await api.call("GET", "/api/v1/users", undefined, idle)).status).toBe(200);
  });
});

describe("the frame", () => {
  test("a change of what somebody else has changed since is refused with 412", async () => {
    const profile = { login: "a@x.co", email: "a@x.co", firstName: "A", lastName: "L" };
    const { id } = (await api.call("POST", "/api/v1/users", { profile })).body;
    const path = `/api/v1/users/${id}`;
    const tag = String((await api.call("GET", path)).headers["etag"]);
    const change = (city: string, match: string) =>
      api.server.inject({
        ...{ method: "POST", url: path, payload: { profile: { city } } },
        headers: { authorization: `SSWS ${api.token}`, "if-match": match },
      });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await change("Bonn", tag)).statusCode).toBe(200);
    expect((await change("Kiel", tag)).statusCode).toBe(412);
    expect((await change("Kiel", "*")).statusCode).toBe(200);
    expect((await api.call("GET", path)).body.profile.city).toBe("Kiel");
  });

  test.each(["/api/v1/users", "/api/v1/groups", "/api/v1/apps", "/api/v1/api-tokens"])(
    "a cursor that is none of %s is refused",
    async (path) => {
      const answer = await api.call("GET", `${path}?after=zzz`);
      expect([answer.status, answer.body.errorCode]).toEqual([400, "E0000029"]);
    },
  );

  test("a bucket serves a burst, refuses the flood, fills evenly, and names a moment with room", () => {
    const count = rateLimit(60);
    const at = 1_000_000;
    const burst = Array.from({ length: 61 }, () => count("a", at));
    expect(burst.map(({ exceeded }) => exceeded).indexOf(true)).toBe(60);
    expect(burst[60]?.remaining).toBe(0);
    expect(burst[60]?.reset_at_s).toBe(1_006);
    expect(count("b", at).exceeded).toBe(false);
    const later = Array.from({ length: 7 }, () => count("a", 1_006_000).exceeded);
    expect(later).toEqual([false, false, false, false, false, false, true]);
    expect(count("a", 2_000_000).remaining).toBe(59);
  });

  test("what is called of Okta's API is counted, and what is not served loses its ids", async () => {
    await api.call("GET", "/api/v1/groups");
    await api.call("GET", "/api/v1/policies/00p00000000000000001/rules");
    await api.server.close();
    const { rows } = await sql`select method, pattern, status, served, calls from api_calls order by pattern`.execute(
      db,
    );
    expect(rows).toEqual([
      { method: "GET", pattern: "/api/v1/groups", status: 200, served: true, calls: 1 },
      { method: "GET", pattern: "/api/v1/policies/{id}/rules", status: 404, served: false, calls: 1 },
    ]);
  });
});
