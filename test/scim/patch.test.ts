/** Every form of PATCH that Okta and Entra send, and those of RFC 7644, over HTTP, with a GET after each. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../../src/store/database.ts";
import { memoryDatabase } from "../support/memory.ts";
import { core, enterprise, group_urn, type Pusher, patch_urn, scimStage, userOf } from "./stage.ts";

let db: Database;
let tolerant: Pusher;
let strict: Pusher;
beforeAll(async () => {
  db = await memoryDatabase();
  const stage = await scimStage(db);
  tolerant = await stage.source("Tolerant");
  strict = await stage.source("Strict", { strict: true });
});
afterAll(() => db.destroy());

let people = 0;
const full = {
  title: "Analyst",
  phoneNumbers: [
    { value: "1", type: "work", primary: true },
    { value: "2", type: "mobile" },
  ],
  addresses: [{ type: "work", streetAddress: "Weg 1", locality: "Köln" }],
  [enterprise]: { department: "Mills", manager: { value: "boss" } },
};

type Op = Readonly<{ op: string; path?: string; value?: unknown }>;

async function patched(source: Pusher, operations: readonly Op[]) {
  const id = await source.user(`${source === strict ? "s" : "t"}${people++}`, full);
  const before = (await source.call("GET", `/Users/${id}`)).body;
  const answer = await source.call("PATCH", `/Users/${id}`, { schemas: [patch_urn], Operations: operations });
  const { meta: _, ...after } = (await source.call("GET", `/Users/${id}`)).body;
  return { answer, before, after };
}

const work_mail = (n: string) => ({ value: n, type: "work", primary: true });

describe("takes what clients send", () => {
  test.each<[string, readonly Op[], object]>([
    ["Okta: no path, active", [{ op: "replace", value: { active: false } }], { active: false }],
    [
      "Okta: a password, which is kept nowhere",
      [{ op: "replace", value: { password: "Sesame-1" } }],
      { title: "Analyst" },
    ],
    ["Okta: ids within a value", [{ op: "replace", value: { id: "x", displayName: "Ada" } }], { displayName: "Ada" }],
    ['Entra: Replace active "False"', [{ op: "Replace", path: "active", value: "False" }], { active: false }],
    [
      'Entra: active [{value:"False"}]',
      [{ op: "Replace", path: "active", value: [{ value: "False" }] }],
      { active: false },
    ],
    [
      "Entra: a part of the name",
      [{ op: "Replace", path: "name.familyName", value: "King" }],
      { name: { givenName: "Given", familyName: "King" } },
    ],
    [
      "Entra: Add with a filter that finds one",
      [{ op: "Add", path: 'emails[type eq "work"].value', value: "n@x.co" }],
      { emails: [work_mail("n@x.co")] },
    ],
    [
      "Entra: Add with a filter that finds none",
      [{ op: "Add", path: 'phoneNumbers[type eq "fax"].value', value: "3" }],
      { phoneNumbers: [...full.phoneNumbers, { type: "fax", value: "3" }] },
    ],
    [
      "Entra: a part of an address",
      [{ op: "Replace", path: 'addresses[type eq "work"].streetAddress', value: "Weg 2" }],
      { addresses: [{ type: "work", streetAddress: "Weg 2", locality: "Köln" }] },
    ],
    [
      "Entra: an attribute of the extension",
      [{ op: "Replace", path: `${enterprise}:department`, value: "Trade" }],
      { [enterprise]: { department: "Trade", manager: { value: "boss" } } },
    ],
    [
      "Entra: with a dot for the last colon",
      [{ op: "Replace", path: `${enterprise}.department`, value: "Trade" }],
      { [enterprise]: { department: "Trade", manager: { value: "boss" } } },
    ],
    [
      "Entra: keys with dots and colons",
      [{ op: "replace", value: { "name.givenName": "Ada", [`${enterprise}:employeeNumber`]: "7" } }],
      {
        name: { givenName: "Ada", familyName: "Family" },
        [enterprise]: { department: "Mills", manager: { value: "boss" }, employeeNumber: "7" },
      },
    ],
    [
      "a manager as a text",
      [{ op: "Add", path: `${enterprise}:manager`, value: "m1" }],
      { [enterprise]: { department: "Mills", manager: { value: "m1" } } },
    ],
    [
      "a manager as an object",
      [{ op: "Replace", path: `${enterprise}:manager`, value: { value: "m1" } }],
      { [enterprise]: { department: "Mills", manager: { value: "m1" } } },
    ],
    [
      "a manager as a list",
      [{ op: "Replace", path: `${enterprise}:manager`, value: [{ $ref: "x", value: "m1" }] }],
      { [enterprise]: { department: "Mills", manager: { value: "m1", $ref: "x" } } },
    ],
    [
      "the extension as an object",
      [{ op: "add", value: { [enterprise]: { division: "North" } } }],
      { [enterprise]: { department: "Mills", manager: { value: "boss" }, division: "North" } },
    ],
    [
      'a role that is primary "True"',
      [{ op: "Add", path: 'roles[primary eq "True"].value', value: "admin" }],
      { roles: [{ primary: true, value: "admin" }] },
    ],
    ["names in any case", [{ op: "replace", path: "TITLE", value: "Chef" }], { title: "Chef" }],
    ["the core URN before a name", [{ op: "replace", path: `${core}:title`, value: "Chef" }], { title: "Chef" }],
    [
      "a value that is a list's only one",
      [{ op: "add", path: "emails", value: { value: "h@x.co", type: "home" } }],
      { emails: [expect.anything(), { value: "h@x.co", type: "home" }] },
    ],
    ["an attribute that nobody knows", [{ op: "Add", path: "shoeSize", value: "42" }], { title: "Analyst" }],
    ["operations in small letters", [{ op: "add", path: "nickName", value: "Ada" }], { nickName: "Ada" }],
  ])("%s", async (_what, operations, expected) => {
    const { answer, after } = await patched(tolerant, operations);
    expect(answer.status).toBe(200);
    expect(after).toMatchObject(expected);
    expect(JSON.stringify(after)).not.toMatch(/Sesame|shoeSize/);
  });

  test.each<[string, readonly Op[], string]>([
    ["null", [{ op: "replace", path: "title", value: null }], "title"],
    ["an empty text", [{ op: "replace", path: "title", value: "" }], "title"],
    ["an empty list", [{ op: "replace", path: "phoneNumbers", value: [] }], "phoneNumbers"],
    ["remove", [{ op: "Remove", path: "title" }], "title"],
    ["remove of all values", [{ op: "remove", path: "phoneNumbers" }], "phoneNumbers"],
    ["remove of each value by its filter", [{ op: "remove", path: "phoneNumbers[value pr]" }], "phoneNumbers"],
    [
      "remove with the values beside the path",
      [{ op: "Remove", path: "phoneNumbers", value: [{ value: "1" }, { value: "2" }] }],
      "phoneNumbers",
    ],
    ["remove of an extension", [{ op: "remove", path: enterprise }], enterprise],
  ])("%s clears", async (_what, operations, name) => {
    const { answer, before, after } = await patched(tolerant, operations);
    expect(answer.status).toBe(200);
    expect(before).toHaveProperty([name]);
    expect(after).not.toHaveProperty([name]);
  });

  test("one value of a list goes, and the others stay", async () => {
    const { after } = await patched(tolerant, [{ op: "remove", path: 'phoneNumbers[type eq "work"]' }]);
    expect(after.phoneNumbers).toEqual([{ value: "2", type: "mobile" }]);
  });

  test("a value that becomes the primary one takes that from the one before", async () => {
    const { after } = await patched(tolerant, [
      { op: "add", path: "phoneNumbers", value: [{ value: "9", type: "home", primary: true }] },
    ]);
    expect(after.phoneNumbers.filter((one: { primary?: boolean }) => one.primary)).toEqual([
      { value: "9", type: "home", primary: true },
    ]);
  });

  test("what changes nothing leaves the version", async () => {
    const { answer, before } = await patched(tolerant, [
      { op: "add", path: "phoneNumbers", value: [full.phoneNumbers[1]] },
    ]);
    expect(answer.body.meta.version).toBe(before.meta.version);
  });
});

describe("refuses, and keeps nothing of the request", () => {
  const good: Op = { op: "replace", path: "title", value: "Changed" };
  test.each<[string, Op, string]>([
    ["an operation that there is not", { op: "move", path: "title", value: "x" }, "invalidSyntax"],
    ["a remove without a path", { op: "remove" }, "noTarget"],
    ["what only we write", { op: "replace", path: "id", value: "x" }, "mutability"],
    ["a person without a name", { op: "remove", path: "userName" }, "mutability"],
    ["a path that cannot be read", { op: "replace", path: "emails[type eq", value: "x" }, "invalidPath"],
    ["a truth that is none", { op: "replace", path: "active", value: "perhaps" }, "invalidValue"],
    ["an operation without a value", { op: "add", path: "title" }, "invalidValue"],
  ])("%s", async (_what, bad, type) => {
    const { answer, before, after } = await patched(tolerant, [good, bad]);
    expect(answer).toMatchObject({ status: 400, body: { scimType: type, status: "400" } });
    expect(after.title).toBe(before.title);
  });

  test.each<[string, Op, string]>([
    ["capitals", { op: "Replace", path: "title", value: "x" }, "invalidSyntax"],
    ["no path", { op: "replace", value: { title: "x" } }, "invalidSyntax"],
    ['"False"', { op: "replace", path: "active", value: "False" }, "invalidValue"],
    ["a filter that finds nothing", { op: "replace", path: 'emails[type eq "fax"].value', value: "x" }, "noTarget"],
    ["a name that nobody knows", { op: "add", path: "shoeSize", value: "42" }, "invalidPath"],
    ["a manager as a text", { op: "add", path: `${enterprise}:manager`, value: "m" }, "invalidValue"],
    [
      "values beside the path of a remove",
      { op: "remove", path: "phoneNumbers", value: [{ value: "1" }] },
      "invalidValue",
    ],
  ])("where it is strict: %s", async (_what, bad, type) => {
    const { answer, before, after } = await patched(strict, [good, bad]);
    expect(answer).toMatchObject({ status: 400, body: { scimType: type } });
    expect(after.title).toBe(before.title);
  });
});

describe("members", () => {
  const membersOf = async (id: string) =>
    ((await tolerant.call("GET", `/Groups/${id}`)).body.members ?? [])
      .map((one: { value: string }) => one.value)
      .sort();

  test("come and go in every form that clients send", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 4; n++) ids.push(await tolerant.user(`m${n}`));
    const [a = "", b = "", c = "", d = ""] = ids;
    const id = await tolerant.group("Kitchen", [a]);
    const patch = async (...operations: Op[]) => {
      expect((await tolerant.call("PATCH", `/Groups/${id}`, { Operations: operations })).status).toBe(204);
      return membersOf(id);
    };
    expect(await patch({ op: "Add", path: "members", value: [{ $ref: null, value: b }] })).toEqual([a, b].sort());
    expect(await patch({ op: "add", path: "members", value: [{ value: b, display: "b" }] })).toEqual([a, b].sort());
    expect(
      await patch(
        { op: "remove", path: `members[value eq "${a}"]` },
        { op: "add", path: "members", value: [{ value: c }] },
      ),
    ).toEqual([b, c].sort());
    expect(await patch({ op: "Remove", path: "members", value: [{ value: b }] })).toEqual([c]);
    expect(await patch({ op: "Remove", path: "members", value: [{ value: b }] })).toEqual([c]);
    expect(await patch({ op: "replace", path: "members", value: [{ value: a }, { value: d }] })).toEqual([a, d].sort());
    expect(await patch({ op: "replace", value: { id, displayName: "Cellar" } })).toEqual([a, d].sort());
    expect((await tolerant.call("GET", `/Groups/${id}?excludedAttributes=members`)).body).toMatchObject({
      displayName: "Cellar",
    });
    expect(await patch({ op: "add", value: { members: [{ value: b }] } })).toEqual([a, b, d].sort());
    expect(await patch({ op: "remove", path: "members" })).toEqual([]);
    const put = await tolerant.call("PUT", `/Groups/${id}`, {
      schemas: [group_urn],
      displayName: "Cellar",
      members: [{ value: c }],
    });
    expect(put.body.members).toMatchObject([{ value: c, type: "User" }]);
    expect((await tolerant.call("GET", `/Users/${c}`)).body.groups).toMatchObject([{ value: id, display: "Cellar" }]);
    expect((await tolerant.call("DELETE", `/Users/${c}`)).status).toBe(204);
    expect(await membersOf(id)).toEqual([]);
  });

  test("who is no user of the source is refused by name, and the change with them", async () => {
    const id = await tolerant.group("Refusing");
    const mine = await tolerant.user("mine");
    const refused = await tolerant.call("PATCH", `/Groups/${id}`, {
      Operations: [{ op: "add", path: "members", value: [{ value: mine }, { value: "nobody" }] }],
    });
    expect(refused).toMatchObject({ status: 400, body: { scimType: "invalidValue" } });
    expect(refused.body.detail).toContain("nobody");
    expect(await membersOf(id)).toEqual([]);
  });

  test("a group is one of the source's here, with its members, and its name is its own", async () => {
    const id = await tolerant.group("Own name", [await tolerant.user("member")]);
    const again = await tolerant.call("POST", "/Groups", { schemas: [group_urn], displayName: "OWN NAME" });
    expect(again).toMatchObject({ status: 409, body: { scimType: "uniqueness" } });
    expect((await strict.call("GET", `/Groups/${id}`)).status).toBe(404);
    expect((await tolerant.call("DELETE", `/Groups/${id}`)).status).toBe(204);
    expect((await tolerant.call("GET", `/Groups/${id}`)).status).toBe(404);
  });
});

test("a bulk makes what its operations name, in any order, and answers each", async () => {
  const answer = await tolerant.call("POST", "/Bulk", {
    Operations: [
      { method: "POST", path: "/Groups", bulkId: "g", data: { displayName: "Bulk", members: [{ value: "bulkId:u" }] } },
      { method: "POST", path: "/Users", bulkId: "u", data: userOf("bulk") },
      { method: "DELETE", path: "/Users/nobody" },
    ],
  });
  expect(answer.body.Operations.map((one: { status: string }) => one.status)).toEqual(["201", "201", "404"]);
  const found = await tolerant.call("POST", "/.search", { filter: 'displayName eq "Bulk"' });
  expect(found.body).toMatchObject({ totalResults: 1, Resources: [{ members: [{ display: "bulk@example.com" }] }] });
});

test("the service says what it is and can", async () => {
  for (const path of [
    "/Schemas",
    "/ResourceTypes",
    "/ServiceProviderConfig",
    `/Schemas/${enterprise}`,
    "/ResourceTypes/User",
  ]) {
    expect((await tolerant.call("GET", path)).status).toBe(200);
  }
  expect((await tolerant.call("GET", "/Me")).status).toBe(501);
  expect((await tolerant.call("GET", "/nothing")).body).toMatchObject({ status: "404" });
});
