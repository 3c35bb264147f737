/** Logos: forms with files are read within bounds, only pictures are taken, and browsers run nothing in them. */
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readMultipart } from "../../src/server/multipart.ts";
import type { Database } from "../../src/store/database.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";

const png = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex");

/** A form as clients send it. */
function form(parts: readonly Readonly<{ head: string; bytes: Buffer | string }>[], mark = "x-mark"): Buffer {
  const written = parts.flatMap(({ head, bytes }) => [`--${mark}\r\n${head}\r\n\r\n`, bytes, "\r\n"]);
  return Buffer.concat([...written, `--${mark}--\r\n`].map((part) => Buffer.from(part)));
}
const type = "multipart/form-data; boundary=x-mark";
const file = (bytes: Buffer | string, name = "file") => ({
  head: `Content-Disposition: form-data; name="${name}"; filename="logo.png"\r\nContent-Type: image/png`,
  bytes,
});

describe("forms", () => {
  test("every form that is written is read again, whatever the bytes are", () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((one) => Buffer.from(one));
    const field = fc.stringMatching(/^[A-Za-z][\w ]{0,20}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(field, bytes), { maxLength: 5 }), (fields) => {
        const whole = form(
          fields.map(([name, content]) => ({ head: `content-disposition: form-data; name="${name}"`, bytes: content })),
        );
        const read = readMultipart(whole, type);
        expect(read?.map((part) => [part.name, part.bytes.toString("hex")])).toEqual(
          fields.map(([name, content]) => [name, content.toString("hex")]),
        );
      }),
    );
  });

  test("bytes that are no form are refused and never hang or throw", () => {
    const pieces = fc.constantFrom("--x-mark", "\r\n", "\r\n\r\n", "--", "content-disposition: form-data; name=a", "x");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 20 }), (parts) => {
        const read = readMultipart(Buffer.from(parts.join("")), type);
        expect(read === undefined || Array.isArray(read)).toBe(true);
      }),
    );
  });

  test.each([
    ["no boundary in the header", form([file(png)]), "multipart/form-data"],
    ["another boundary", form([file(png)]), "multipart/form-data; boundary=other"],
    ["no end", form([file(png)]).subarray(0, -10), type],
    ["a part without a name", form([{ head: "Content-Type: image/png", bytes: png }]), type],
    [
      "a head over its bound",
      form([{ head: `content-disposition: form-data; name=a; ${"x".repeat(5_000)}`, bytes: "" }]),
      type,
    ],
    ["too many parts", form(Array.from({ length: 21 }, () => file("x"))), type],
    ["nothing", Buffer.alloc(0), type],
  ])("%s is refused", (_name, body, header) => {
    expect(readMultipart(body, header)).toBeUndefined();
  });
});

describe("logos", () => {
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

  const upload = (app_id: string, payload: Buffer) =>
    api.server.inject({
      method: "POST",
      url: `/api/v1/apps/${app_id}/logo`,
      headers: { host: "tenure.test", authorization: `SSWS ${api.token}`, "content-type": type },
      payload,
    });
  const newApp = async () =>
    (await api.call("POST", "/api/v1/apps", { name: "bookmark", label: "Site" })).body as ReturnType<typeof JSON.parse>;

  test("a picture is taken, served to anyone where the app says, and another takes its place", async () => {
    const app = await newApp();
    const path = new URL(app._links.logo[0].href).pathname;
    expect((await api.call("GET", path, undefined, "")).headers["content-type"]).toContain("image/svg+xml");
    const made = await upload(app.id, form([file(png)]));
    expect([made.statusCode, made.headers["location"], made.body]).toEqual([201, `http://tenure.test${path}`, ""]);
    const shown = await api.server.inject({ method: "GET", url: path });
    expect(shown.rawPayload).toEqual(png);
    expect(shown.headers).toMatchObject({ "content-type": "image/png", "x-content-type-options": "nosniff" });
    await upload(app.id, form([file("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")]));
    const svg = await api.server.inject({ method: "GET", url: path });
    expect(svg.headers["content-type"]).toBe("image/svg+xml");
    expect(svg.headers["content-security-policy"]).toMatch(/default-src 'none'.*sandbox/);
  });

  test.each([
    ["a page", form([file("<!doctype html><html>")])],
    ["a part of another name", form([file(png, "picture")])],
    ["an empty form", form([])],
    ["no form", Buffer.from("hello")],
  ])("%s is refused", async (_name, payload) => {
    expect((await upload((await newApp()).id, payload)).statusCode).toBe(400);
  });

  test("a picture over a megabyte is refused", async () => {
    const { id } = await newApp();
    expect((await upload(id, form([file(Buffer.concat([png, Buffer.alloc(1_000_000)]))]))).statusCode).toBe(400);
    expect((await upload(id, form([file(Buffer.concat([png, Buffer.alloc(2_000_000)]))]))).statusCode).toBe(413);
  });
});
