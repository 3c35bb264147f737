/** Filter, order, pages and selection over HTTP, on resources that a source pushed. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../../src/store/database.ts";
import { memoryDatabase } from "../support/memory.ts";
import { core, enterprise, type Pusher, scimStage } from "./stage.ts";

let db: Database;
let hr: Pusher;
const ids: string[] = [];
beforeAll(async () => {
  db = await memoryDatabase();
  hr = await (await scimStage(db)).source("HR");
  ids.push(await hr.user("ada", { title: "Analyst", [enterprise]: { department: "Mills" } }));
  ids.push(await hr.user("bob", { title: "cook", active: false, [enterprise]: { department: "Trade" } }));
  ids.push(
    await hr.user("eve", {
      emails: [
        { value: "eve@home.org", type: "home" },
        { value: "eve@example.com", type: "work" },
      ],
      name: { givenName: 'E"v\\e', familyName: "Zed" },
    }),
  );
  await hr.group("Kitchen", ids.slice(0, 2));
});
afterAll(() => db.destroy());

const names = (body: { Resources: { userName: string }[] }) =>
  body.Resources.map(({ userName }) => userName.split("@")[0])
    .sort()
    .join(" ");

describe("a filter finds", () => {
  test.each([
    ['userName eq "ADA@example.com"', "ada"],
    ['externalId eq "x-bob"', "bob"],
    ['externalId eq "X-BOB"', ""],
    ['emails[type eq "work"].value eq "ada@example.com"', "ada"],
    ['emails[type eq "home" and value co "home"]', "eve"],
    ['emails.value ew ".org"', "eve"],
    ['emails eq "bob@example.com"', "bob"],
    ["active eq true", "ada eve"],
    ['active eq "False"', "bob"],
    ["title pr", "ada bob"],
    ["not (title pr)", "eve"],
    ['title sw "a" or name.familyName eq "zed"', "ada eve"],
    ['title eq "Analyst" and active eq true', "ada"],
    ['title ne "Analyst"', "bob eve"],
    ['title gt "b"', "bob"],
    [`${enterprise}:department eq "mills"`, "ada"],
    [`${core}:userName sw "e"`, "eve"],
    ['USERNAME SW "b"', "bob"],
    [String.raw`name.givenName eq "E\"v\\e"`, "eve"],
    ['meta.created gt "2020-01-01T00:00:00Z" and meta.resourceType eq "User"', "ada bob eve"],
    ["groups pr", "ada bob"],
  ])("%s", async (filter, expected) => {
    const { status, body } = await hr.call("GET", `/Users?filter=${encodeURIComponent(filter)}`);
    expect(status).toBe(200);
    expect(names(body)).toBe(expected);
  });

  test("whether somebody is in a group, as Entra asks", async () => {
    const [group] = (await hr.call("GET", "/Groups?excludedAttributes=members")).body.Resources;
    expect(group.members).toBeUndefined();
    for (const [member, n] of [
      [ids[0], 1],
      [ids[2], 0],
    ]) {
      const filter = encodeURIComponent(`id eq "${group.id}" and members eq "${member}"`);
      expect((await hr.call("GET", `/Groups?filter=${filter}`)).body.totalResults).toBe(n);
    }
  });

  test.each(["userName", "userName eq", 'shoeSize eq "1"', "active gt true", "title eq 'x'"])(
    "and refuses %s",
    async (filter) => {
      const { status, body } = await hr.call("GET", `/Users?filter=${encodeURIComponent(filter)}`);
      expect([status, body.scimType]).toEqual([400, "invalidFilter"]);
    },
  );
});

describe("pages", () => {
  test.each([
    ["count=0", { totalResults: 3, itemsPerPage: 0, startIndex: 1 }],
    ["count=-1", { itemsPerPage: 0 }],
    ["startIndex=0&count=2", { startIndex: 1, itemsPerPage: 2 }],
    ["startIndex=3&count=2", { startIndex: 3, itemsPerPage: 1 }],
    ["startIndex=9", { totalResults: 3, itemsPerPage: 0 }],
  ])("by index: %s", async (query, expected) => {
    expect((await hr.call("GET", `/Users?${query}`)).body).toMatchObject(expected);
  });

  test("by cursor, to the end, each once", async () => {
    const seen: string[] = [];
    for (let cursor: string | undefined = ""; cursor !== undefined; ) {
      const { body }: { body: { Resources: { id: string }[]; nextCursor?: string } } = await hr.call(
        "GET",
        `/Users?cursor=${cursor}&count=2`,
      );
      seen.push(...body.Resources.map(({ id }) => id));
      cursor = body.nextCursor;
    }
    expect(seen).toEqual([...ids].sort());
    expect((await hr.call("GET", "/Users?cursor&count=5000")).body.scimType).toBe("invalidCount");
  });

  test("in the order that is asked for", async () => {
    const order = async (query: string) =>
      (await hr.call("GET", `/Users?${query}`)).body.Resources.map(({ id }: { id: string }) => ids.indexOf(id));
    expect(await order("sortBy=userName&sortOrder=descending")).toEqual([2, 1, 0]);
    expect(await order("sortBy=title")).toEqual([0, 1, 2]);
    expect(await order("sortBy=emails")).toEqual([0, 1, 2]);
  });
});

test("attributes and excludedAttributes show what they name", async () => {
  const get = async (query: string) => (await hr.call("GET", `/Users/${ids[0]}?${query}`)).body;
  expect(await get("attributes=name.givenName,emails.value")).toEqual({
    ...{ schemas: [core, enterprise], id: ids[0], name: { givenName: "Given" } },
    emails: [{ value: "ada@example.com" }],
  });
  expect(await get(`attributes=${enterprise}:department`)).toMatchObject({ [enterprise]: { department: "Mills" } });
  expect(await get("excludedAttributes=emails,id,groups")).not.toHaveProperty("emails");
  expect(await get("excludedAttributes=id")).toHaveProperty("id");
  expect((await hr.call("GET", "/Users?attributes=title&excludedAttributes=name")).status).toBe(400);
});
