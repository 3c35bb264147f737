/** Apps as OAuth clients: secrets, public keys, granted scopes, and what a token endpoint is told of them. */
import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { clientOf, secretFits } from "../../src/directory/clients.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";

let db: Database;
let api: TestApi;

beforeAll(async () => {
  db = await memoryDatabase();
});
afterAll(() => db.destroy());
beforeEach(async () => {
  await wipe(db);
  api = await testApi(db);
});

const client = (auth_method?: string, more: object = {}) => ({
  name: "oidc_client",
  label: "Script",
  signOnMode: "OPENID_CONNECT",
  credentials: { oauthClient: { ...(auth_method ? { token_endpoint_auth_method: auth_method } : {}), ...more } },
  settings: { oauthClient: { grant_types: ["client_credentials"], application_type: "service" } },
});
const create = async (path: string, body: unknown = {}) => (await api.call("POST", path, body)).body;
const read = async (path: string) => (await api.call("GET", path)).body;
const rsa = (bits = 2048) => generateKeyPairSync("rsa", { modulusLength: bits }).publicKey.export({ format: "jwk" });

describe("client secrets", () => {
  test.each([
    [undefined, true],
    ["client_secret_post", true],
    ["client_secret_jwt", true],
    ["private_key_jwt", false],
    ["none", false],
  ])("signing in by %s, a new client has a secret: %s; only the answer that made it shows it", async (method, has) => {
    const app = await create("/api/v1/apps", client(method));
    expect(typeof app.credentials.oauthClient.client_secret).toBe(has ? "string" : "undefined");
    expect((await read(`/api/v1/apps/${app.id}`)).credentials.oauthClient).not.toHaveProperty("client_secret");
    const known = await clientOf(db, app.id);
    expect(known?.secrets).toHaveLength(has ? 1 : 0);
    if (known && has) {
      expect(secretFits(known, app.credentials.oauthClient.client_secret)).toBe(true);
      expect(secretFits(known, `${app.credentials.oauthClient.client_secret}x`)).toBe(false);
    }
  });

  test("two secrets at most, one always active, and only a switched-off one is deleted", async () => {
    const app = await create("/api/v1/apps", client());
    const url = `/api/v1/apps/${app.id}/credentials/secrets`;
    const [first] = await read(url);
    expect(first).toMatchObject({ status: "ACTIVE", client_secret: app.credentials.oauthClient.client_secret });
    expect((await api.call("POST", `${url}/${first.id}/lifecycle/deactivate`)).status).toBe(400);
    const second = await api.call("POST", url);
    expect(second.status).toBe(201);
    expect((await api.call("POST", url)).status).toBe(400);
    expect((await api.call("DELETE", `${url}/${first.id}`)).status).toBe(400);
    const off = (await api.call("POST", `${url}/${first.id}/lifecycle/deactivate`)).body;
    expect([off.status, Object.keys(off._links).sort()]).toEqual(["INACTIVE", ["activate", "delete"]]);
    const known = await clientOf(db, app.id);
    expect(known && secretFits(known, first.client_secret)).toBe(false);
    expect(known && secretFits(known, second.body.client_secret)).toBe(true);
    expect((await api.call("DELETE", `${url}/${first.id}`)).status).toBe(204);
    expect((await api.call("GET", `${url}/${first.id}`)).body.errorSummary).toBe(
      `Not found: Resource not found: ${first.id} (OAuth2ClientSecret)`,
    );
  });

  test("secrets lie sealed, go with their app, are shown to those who may change them, and the log says who looked", async () => {
    const app = await create("/api/v1/apps", client("client_secret_basic", { client_secret: "made-up-elsewhere-1" }));
    const url = `/api/v1/apps/${app.id}/credentials/secrets`;
    expect((await read(url))[0].client_secret).toBe("made-up-elsewhere-1");
    expect((await api.call("GET", url, undefined, await api.tokenOf("READ_ONLY_ADMIN"))).status).toBe(403);
    const { rows: events } = await sql<{
      type: string;
      text: string;
    }>`select type, events::text as text from events`.execute(db);
    expect(events.map(({ type }) => type)).toContain("app.oauth2.credentials.read");
    const { rows: kept } = await sql<{ text: string }>`
      select apps::text as text from apps union all select client_secrets::text from client_secrets`.execute(db);
    for (const { text } of [...events, ...kept]) expect(text).not.toContain("made-up-elsewhere-1");
    await api.call("POST", `/api/v1/apps/${app.id}/lifecycle/deactivate`);
    await api.call("DELETE", `/api/v1/apps/${app.id}`);
    expect((await sql`select 1 from secrets where table_name = 'client_secrets'`.execute(db)).rows).toEqual([]);
  });

  test("replacing a client keeps its id and its secret; a secret that is given takes the newest one's place", async () => {
    const app = await create("/api/v1/apps", client("client_secret_basic", { client_id: "the-script" }));
    expect(app.credentials.oauthClient.client_id).toBe("the-script");
    const put = (body: object) => api.call("PUT", `/api/v1/apps/${app.id}`, body);
    const plain = await put({ ...client(), label: "Renamed" });
    expect(plain.body.credentials.oauthClient.client_id).toBe("the-script");
    expect((await put(client(undefined, { client_id: "another" }))).status).toBe(400);
    const before = await clientOf(db, "the-script");
    expect(before && secretFits(before, app.credentials.oauthClient.client_secret)).toBe(true);
    await put(client(undefined, { client_secret: "given-from-outside" }));
    const after = await clientOf(db, "the-script");
    expect(after?.secrets).toHaveLength(1);
    expect(after && secretFits(after, "given-from-outside")).toBe(true);
    expect((await put(client(undefined, { client_secret: "short" }))).status).toBe(400);
    const twin = await api.call("POST", "/api/v1/apps", {
      ...client(undefined, { client_id: "the-script" }),
      label: "Twin",
    });
    expect([twin.status, twin.body.errorCauses[0].errorSummary]).toEqual([
      400,
      "another app has this client_id: choose another",
    ]);
  });

  test("an app that is no client has none", async () => {
    const app = await create("/api/v1/apps", { name: "bookmark", label: "Site" });
    expect((await api.call("GET", `/api/v1/apps/${app.id}/credentials/secrets`)).status).toBe(400);
    expect(await clientOf(db, app.id)).toBeUndefined();
  });
});

describe("public keys", () => {
  test("a key is added, proves the client while it is active, and goes; the app's body shows the same keys", async () => {
    const app = await create("/api/v1/apps", client("private_key_jwt"));
    const url = `/api/v1/apps/${app.id}/credentials/jwks`;
    const { n, e } = rsa();
    const made = await api.call("POST", url, { kty: "RSA", kid: "one", n, e });
    expect([made.status, made.body.status, made.body.kid]).toEqual([201, "ACTIVE", "one"]);
    expect((await api.call("POST", url, { kty: "RSA", kid: "one", n, e })).status).toBe(400);
    expect((await clientOf(db, app.id))?.jwks).toMatchObject([{ kid: "one", n }]);
    expect((await read(`/api/v1/apps/${app.id}`)).settings.oauthClient.jwks.keys).toMatchObject([{ kid: "one" }]);
    const one = `${url}/${made.body.id}`;
    expect((await api.call("DELETE", one)).status).toBe(400);
    expect((await api.call("POST", `${one}/lifecycle/deactivate`)).body.status).toBe("INACTIVE");
    expect((await clientOf(db, app.id))?.jwks).toEqual([]);
    expect((await api.call("DELETE", one)).status).toBe(204);
    expect(await read(url)).toEqual([]);
  });

  test.each([
    ["an RSA key without a modulus", { kty: "RSA", kid: "x" }],
    ["a short RSA key", { kty: "RSA", ...rsa(1024) }],
    ["a private key", { kty: "RSA", ...rsa(), d: "AQAB" }],
    ["a curve that is none", { kty: "EC", crv: "P-1", x: "AQAB", y: "AQAB" }],
    ["a point that is too short", { kty: "EC", crv: "P-256", x: "AQAB", y: "AQAB" }],
    ["a shared secret", { kty: "oct", k: "AQAB" }],
  ])("%s is refused, alone and among an app's settings", async (_name, key) => {
    const app = await create("/api/v1/apps", client("private_key_jwt"));
    const alone = await api.call("POST", `/api/v1/apps/${app.id}/credentials/jwks`, key);
    const body = client("private_key_jwt");
    const among = await api.call("PUT", `/api/v1/apps/${app.id}`, {
      ...body,
      settings: { oauthClient: { ...body.settings.oauthClient, jwks: { keys: [key] } } },
    });
    for (const refused of [alone, among]) {
      expect([refused.status, refused.body.errorSummary]).toEqual([400, "Api validation failed: JsonWebKey"]);
    }
  });

  test("an EC key serves too", async () => {
    const app = await create("/api/v1/apps", client("private_key_jwt"));
    const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" });
    expect((await api.call("POST", `/api/v1/apps/${app.id}/credentials/jwks`, key)).status).toBe(201);
  });
});

describe("granted scopes", () => {
  test("a scope is granted once, told to the token endpoint, and taken away", async () => {
    const app = await create("/api/v1/apps", client());
    const url = `/api/v1/apps/${app.id}/grants`;
    const wish = { scopeId: "okta.users.read", issuer: "http://tenure.test" };
    const grant = await create(url, wish);
    expect(grant).toMatchObject({ status: "ACTIVE", source: "ADMIN", clientId: app.id, _embedded: { scope: {} } });
    expect((await create(url, wish)).id).toBe(grant.id);
    expect(await clientOf(db, app.id)).toMatchObject({ active: true, granted_scopes: ["okta.users.read"] });
    expect(await read(url)).toHaveLength(1);
    expect((await read(`${url}/${grant.id}`))._embedded).toBeUndefined();
    expect((await read(`${url}/${grant.id}?expand=scope`))._embedded).toBeDefined();
    expect((await api.call("DELETE", `${url}/${grant.id}`)).status).toBe(204);
    expect((await api.call("DELETE", `${url}/${grant.id}`)).status).toBe(404);
    expect((await clientOf(db, app.id))?.granted_scopes).toEqual([]);
    expect((await api.call("POST", url, { scopeId: "a b" })).status).toBe(400);
  });

  test.each(["ORG_ADMIN", "APP_ADMIN"])(
    "%s grants nothing: with a client's scopes they could do anything",
    async (role) => {
      const app = await create("/api/v1/apps", client());
      const url = `/api/v1/apps/${app.id}/grants`;
      const grant = await create(url, { scopeId: "okta.users.manage" });
      const token = await api.tokenOf(role);
      expect((await api.call("POST", url, { scopeId: "okta.apps.read" }, token)).status).toBe(403);
      expect((await api.call("DELETE", `${url}/${grant.id}`, undefined, token)).status).toBe(403);
      expect((await api.call("GET", `/api/v1/apps/${app.id}/credentials/secrets`, undefined, token)).status).toBe(403);
    },
  );

  test("a client that is switched off is told to be", async () => {
    const app = await create("/api/v1/apps", client());
    await api.call("POST", `/api/v1/apps/${app.id}/lifecycle/deactivate`);
    expect((await clientOf(db, app.id))?.active).toBe(false);
  });

  test("there are no refresh tokens, and federated claims are not served", async () => {
    const app = await create("/api/v1/apps", client());
    expect(await read(`/api/v1/apps/${app.id}/tokens`)).toEqual([]);
    expect((await api.call("DELETE", `/api/v1/apps/${app.id}/tokens`)).status).toBe(204);
    expect((await read(`/api/v1/apps/${app.id}/tokens/abc`)).errorSummary).toBe(
      `Not found: Resource not found: ${app.id}.abc (OAuth2RefreshTokenTx)`,
    );
    const claims = await api.call("POST", `/api/v1/apps/${app.id}/federated-claims`, { name: "x", expression: "y" });
    expect([claims.status, claims.body.errorCode]).toEqual([401, "E0000015"]);
  });

  test("a client that may refresh says how", async () => {
    const made = await create("/api/v1/apps", {
      ...client(),
      settings: { oauthClient: { grant_types: ["authorization_code", "refresh_token"] } },
    });
    expect(made.settings.oauthClient.refresh_token).toEqual({ rotation_type: "STATIC" });
  });
});
