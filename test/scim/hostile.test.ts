/** What a hostile client sends is refused with a SCIM error, and neither grows nor stalls the process. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Database } from "../../src/store/database.ts";
import { memoryDatabase } from "../support/memory.ts";
import { type Pusher, scimStage, userOf } from "./stage.ts";

let db: Database;
let hr: Pusher;
let id: string;
beforeAll(async () => {
  db = await memoryDatabase();
  hr = await (await scimStage(db)).source("HR");
  id = await hr.user("ada");
});
afterAll(() => db.destroy());

const text = (value: object) => JSON.stringify(value);
const patch = (operation: string) => ["PATCH", () => `/Users/${id}`, `{"Operations":[${operation}]}`] as const;
const deep = `${"(".repeat(10_000)}userName pr${")".repeat(10_000)}`;

test.each<[string, string, () => string, string | undefined, Readonly<Record<string, string>>, readonly number[]]>([
  ["__proto__ as a key", "POST", () => "/Users", `{"__proto__":{"x":1},"userName":"a"}`, {}, [400]],
  ["constructor as a key", "POST", () => "/Users", `{"userName":"a","constructor":{"prototype":{"x":1}}}`, {}, [400]],
  ["an escaped __proto__", "POST", () => "/Users", String.raw`{"userName":"a","\u005f_proto__":{"x":1}}`, {}, [400]],
  ["a key that is there twice", "POST", () => "/Users", `{"userName":"a","username":"b"}`, {}, [400]],
  ["a body that is no JSON", "POST", () => "/Users", `{"userName":`, {}, [400]],
  ["a list for a body", "POST", () => "/Users", "[]", {}, [400]],
  ["a body that is nested 100,000 times", "POST", () => "/Users", "[".repeat(100_000), {}, [400]],
  ["quotes without an end", "POST", () => "/Users", `{"a":"${'\\"'.repeat(500_000)}`, {}, [400]],
  ["another content type", "POST", () => "/Users", text(userOf("b")), { "content-type": "text/plain" }, [415]],
  ["a text with NUL", "POST", () => "/Users", text(userOf("nul", { title: "a\0b" })), {}, [400]],
  ["half of a letter", "POST", () => "/Users", text(userOf("half", { title: "\ud800" })), {}, [400]],
  [
    "100,000 members",
    "POST",
    () => "/Groups",
    text({ displayName: "g", members: Array.from({ length: 100_000 }, (_, n) => ({ value: `${n}` })) }),
    {},
    [413],
  ],
  ["a body of 9 MB", "POST", () => "/Users", `{"userName":"${"a".repeat(9 * 1024 * 1024)}"}`, {}, [413]],
  [
    "a filter of a megabyte",
    "POST",
    () => "/.search",
    text({ filter: `userName eq "${"a".repeat(1_000_000)}"` }),
    {},
    [400],
  ],
  ["a filter of depth 10,000", "POST", () => "/.search", text({ filter: deep }), {}, [400]],
  [
    "a filter on the password",
    "GET",
    () => `/Users?filter=${encodeURIComponent('password sw "a"')}`,
    undefined,
    {},
    [400],
  ],
  [
    "a filter on __proto__",
    "GET",
    () => `/Users?filter=${encodeURIComponent('__proto__ eq "a"')}`,
    undefined,
    {},
    [400],
  ],
  [
    "SQL in a filter's name",
    "GET",
    () => `/Users?filter=${encodeURIComponent(`title') or 1=1 -- eq "a"`)}`,
    undefined,
    {},
    [400],
  ],
  [
    "SQL for an order",
    "GET",
    () => `/Users?sortBy=${encodeURIComponent("title') desc; drop table users --")}`,
    undefined,
    {},
    [400],
  ],
  ["a cursor that somebody made up", "GET", () => "/Users?cursor=zzz", undefined, {}, [400]],
  ["an id with NUL", "GET", () => "/Users/a%00b", undefined, {}, [404]],
  ["constructor as an id", "DELETE", () => "/Users/constructor", undefined, {}, [404]],
  ["no token", "GET", () => "/Users", undefined, { authorization: "" }, [401]],
  [
    "a bulk in a circle",
    "POST",
    () => "/Bulk",
    text({
      Operations: ["a", "b"].map((one, n) => ({
        method: "POST",
        path: "/Groups",
        bulkId: one,
        data: { displayName: one, members: [{ value: `bulkId:${["b", "a"][n]}` }] },
      })),
    }),
    {},
    [200],
  ],
])("%s is refused", async (_what, method, path, body, headers, statuses) => {
  const started = performance.now();
  const answer = await hr.call(method, path(), body, headers);
  expect(statuses).toContain(answer.status);
  if (answer.status >= 400) {
    expect(answer.body).toMatchObject({
      schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"],
      status: `${answer.status}`,
    });
  }
  expect(performance.now() - started).toBeLessThan(5_000);
  expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
});

test.each([
  ...["__proto__.x", "constructor.prototype.x", "name.__proto__", 'emails[__proto__ eq "a"].x', "__proto__"].map(
    (one) => ["path", one],
  ),
  ...["__proto__.x", "constructor.prototype.x", "constructor"].map((one) => ["key", one]),
])("a PATCH with the %s %s changes no prototype", async (where, name) => {
  const operation = where === "path" ? { op: "add", path: name, value: "1" } : { op: "add", value: { [name]: "1" } };
  const [method, path, body] = patch(text(operation));
  expect((await hr.call(method, path(), body)).status).toBeLessThan(500);
  expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  expect((await hr.call("GET", `/Users/${id}`)).body).toMatchObject({
    userName: "ada@example.com",
    externalId: "x-ada",
  });
});

test("attributes that name prototypes select nothing", async () => {
  const { body } = await hr.call("GET", `/Users/${id}?attributes=__proto__,constructor,userName`);
  expect(Object.keys(body).sort()).toEqual(["id", "schemas", "userName"]);
});

test("a hundred refusals leave the memory as it was", async () => {
  const send = () => hr.call("POST", "/.search", text({ filter: deep }));
  for (let n = 0; n < 20; n++) await send();
  const before = process.memoryUsage().rss;
  for (let n = 0; n < 100; n++) await send();
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
});
