/** Signing keys of apps, their certificates, the metadata that shows them, and requests for certificates. */
import { createPrivateKey, createPublicKey, sign, verify, X509Certificate } from "node:crypto";
import forge from "node-forge";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Database, sql } from "../../src/store/database.ts";
import { getSecret } from "../../src/store/secrets.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { fakeApp } from "../support/fakeConfig.ts";
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

const create = async (path: string, body: unknown = {}) => (await api.call("POST", path, body)).body;
const read = async (path: string) => (await api.call("GET", path)).body;
const samlApp = (label: string) => create("/api/v1/apps", { label, signOnMode: "SAML_2_0" });
const keysOf = (id: string) => `/api/v1/apps/${id}/credentials/keys`;

/** The private key that is kept for a key of an app. */
async function privateKey(app_id: string, kid: string) {
  const place = { table: "app_keys", row: `${app_id}/${kid}`, column: "private_key" };
  return createPrivateKey((await getSecret(db, fakeApp.tools.key, place, new Date())) ?? "");
}

describe("signing keys", () => {
  test("an app's key is the one its body names from the first moment, and its certificate is signed by itself", async () => {
    const app = await samlApp("Payroll");
    const [key, ...others] = await read(keysOf(app.id));
    expect(others).toEqual([]);
    expect(key).toMatchObject({ kty: "RSA", use: "sig", kid: app.credentials.signing.kid, e: "AQAB" });
    const certificate = new X509Certificate(Buffer.from(key.x5c[0], "base64"));
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.publicKey.export({ format: "jwk" }).n).toBe(key.n);
    expect(certificate.subject).toContain(`CN=${app.id}`);
    expect(new Date(certificate.validTo).getUTCFullYear()).toBe(new Date().getUTCFullYear() + 10);
    expect(Buffer.from(certificate.fingerprint256.replaceAll(":", ""), "hex").toString("base64url")).toBe(
      key["x5t#S256"],
    );
    const secret = await privateKey(app.id, key.kid);
    expect(verify("sha256", Buffer.from("x"), certificate.publicKey, sign("sha256", Buffer.from("x"), secret))).toBe(
      true,
    );
    const found = await read(`/api/v1/apps?filter=${encodeURIComponent(`credentials.signing.kid eq "${key.kid}"`)}`);
    expect(found.map(({ id }: { id: string }) => id)).toEqual([app.id]);
  });

  test("everybody who asks at once for a key that is not made yet gets the same one", async () => {
    const { id } = await create("/api/v1/apps", { name: "bookmark", label: "Site" });
    const answers = await Promise.all([1, 2, 3].map(() => read(keysOf(id))));
    expect(new Set(answers.map((keys) => `${keys.length} ${keys[0].x5c[0]}`)).size).toBe(1);
  });

  test("another key is made for so many years and used once the app is told to; a stranger's key is refused", async () => {
    const app = await samlApp("Payroll");
    const made = await api.call("POST", `${keysOf(app.id)}/generate?validityYears=2`);
    expect(made.status).toBe(201);
    expect(new Date(made.body.expiresAt).getUTCFullYear()).toBe(new Date().getUTCFullYear() + 2);
    expect(await read(`${keysOf(app.id)}/${made.body.kid}`)).toEqual(made.body);
    const put = (kid: string) =>
      api.call("PUT", `/api/v1/apps/${app.id}`, {
        label: "Payroll",
        signOnMode: "SAML_2_0",
        credentials: { signing: { kid } },
      });
    expect((await put(made.body.kid)).body.credentials.signing).toEqual({ kid: made.body.kid });
    expect((await put("nobody-has-this-one")).body.errorSummary).toBe("Api validation failed: credentials.signing.kid");
    expect((await read(`/api/v1/apps/${app.id}`)).credentials.signing.kid).toBe(made.body.kid);
    for (const years of [1, 11, "x"]) {
      const refused = await api.call("POST", `${keysOf(app.id)}/generate?validityYears=${years}`);
      expect([refused.status, refused.body.errorCode]).toEqual([400, "E0000001"]);
    }
  });

  test("a key is copied to another app under its name, with its private part, and goes with each app", async () => {
    const [one, two] = [await samlApp("One"), await samlApp("Two")];
    const { kid } = one.credentials.signing;
    const path = `${keysOf(one.id)}/${kid}/clone?targetAid=${two.id}`;
    const copy = await api.call("POST", path);
    expect([copy.status, copy.body.kid]).toEqual([201, kid]);
    expect((await read(keysOf(two.id))).map((key: { kid: string }) => key.kid)).toContain(kid);
    expect((await api.call("POST", path)).status).toBe(400);
    await api.call("POST", `/api/v1/apps/${one.id}/lifecycle/deactivate`);
    await api.call("DELETE", `/api/v1/apps/${one.id}`);
    const key = await read(`${keysOf(two.id)}/${kid}`);
    const own = await privateKey(two.id, kid);
    expect(createPublicKey(own).export({ format: "jwk" }).n).toBe(key.n);
    const { rows } = await sql<{ row_id: string }>`select row_id from secrets where table_name = 'app_keys'`.execute(
      db,
    );
    expect(rows.every(({ row_id }) => row_id.startsWith(two.id))).toBe(true);
  });

  test("metadata shows the key in use or the one that is asked for; another is Okta's E0000019", async () => {
    const app = await samlApp('A & "B"');
    const answer = await api.call("GET", `/api/v1/apps/${app.id}/sso/saml/metadata`);
    expect(answer.headers["content-type"]).toContain("text/xml");
    const [key] = await read(keysOf(app.id));
    expect(answer.body).toContain(`<ds:X509Certificate>${key.x5c[0]}<`);
    expect(answer.body.match(/SingleSignOnService/g)).toHaveLength(2);
    const other = (await api.call("POST", `${keysOf(app.id)}/generate?validityYears=2`)).body;
    expect(await read(`/api/v1/apps/${app.id}/sso/saml/metadata?kid=${other.kid}`)).toContain(other.x5c[0]);
    const refused = await api.call("GET", `/api/v1/apps/${app.id}/sso/saml/metadata?kid=other`);
    expect([refused.status, refused.body.errorCode]).toEqual([400, "E0000019"]);
  });
});

describe("certificate requests", () => {
  const subject = { countryName: "de", organizationName: "Grünwald & Söhne", commonName: "sso" };
  const csrsOf = (id: string) => `/api/v1/apps/${id}/credentials/csrs`;

  /** What a certificate authority does with a request. */
  function certify(csr: string): Buffer {
    const request = forge.pki.certificationRequestFromAsn1(
      forge.asn1.fromDer(Buffer.from(csr, "base64").toString("latin1")),
    );
    expect(request.verify()).toBe(true);
    const authority = forge.pki.rsa.generateKeyPair(1024);
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = request.publicKey as forge.pki.PublicKey;
    certificate.serialNumber = "01";
    certificate.validity.notAfter = new Date(Date.now() + 86_400_000);
    certificate.setSubject(request.subject.attributes);
    certificate.setIssuer([{ name: "commonName", value: "An authority" }]);
    certificate.sign(authority.privateKey, forge.md.sha256.create());
    return Buffer.from(forge.asn1.toDer(forge.pki.certificateToAsn1(certificate)).getBytes(), "latin1");
  }

  const publish = (path: string, type: string, payload: Buffer | string) =>
    api.server.inject({
      method: "POST",
      url: `${path}/lifecycle/publish`,
      headers: { authorization: `SSWS ${api.token}`, "content-type": type },
      payload,
    });

  test("a request holds what was asked, is listed until its certificate comes, and then is a key of the app", async () => {
    const app = await samlApp("Payroll");
    const made = await api.call("POST", csrsOf(app.id), {
      subject,
      subjectAltNames: { dnsNames: ["dev.example.com", "*.example.com"] },
    });
    expect(made.status).toBe(201);
    const text = Buffer.from(made.body.csr, "base64").toString("utf8");
    for (const part of ["DE", "Grünwald & Söhne", "dev.example.com", "*.example.com"]) expect(text).toContain(part);
    const path = `${csrsOf(app.id)}/${made.body.id}`;
    expect(await read(path)).toEqual(made.body);
    expect(await read(csrsOf(app.id))).toEqual([made.body]);

    const stranger = (await create(csrsOf(app.id), { subject })).csr;
    expect((await publish(path, "application/pkix-cert", certify(stranger))).statusCode).toBe(400);
    expect((await publish(path, "application/pkix-cert", "not a certificate")).statusCode).toBe(400);
    const answer = await publish(path, "application/x-x509-ca-cert", certify(made.body.csr).toString("base64"));
    expect([answer.statusCode, answer.json().kid]).toEqual([201, made.body.id]);
    expect((await api.call("GET", path)).status).toBe(404);
    const keys = await read(keysOf(app.id));
    expect(keys.map(({ kid }: { kid: string }) => kid)).toContain(made.body.id);
    expect(createPublicKey(await privateKey(app.id, made.body.id)).export({ format: "jwk" }).n).toBe(answer.json().n);
  });

  test("a request is given up with its private key", async () => {
    const app = await samlApp("Payroll");
    const { id } = await create(csrsOf(app.id), { subject });
    expect((await api.call("DELETE", `${csrsOf(app.id)}/${id}`)).status).toBe(204);
    expect((await api.call("DELETE", `${csrsOf(app.id)}/${id}`)).status).toBe(404);
    const { rows } = await sql`select 1 from secrets where table_name = 'app_csrs'`.execute(db);
    expect(rows).toEqual([]);
  });

  test.each([
    ["no name at all", { subject: {} }],
    ["a country of three letters", { subject: { countryName: "DEU" } }],
    ["a name over the bound", { subject: { commonName: "x".repeat(65) } }],
    ["a host that is none", { subject, subjectAltNames: { dnsNames: ["a b"] } }],
  ])("a request with %s is refused", async (_name, body) => {
    const app = await samlApp("Payroll");
    expect((await api.call("POST", csrsOf(app.id), body)).status).toBe(400);
  });
});
