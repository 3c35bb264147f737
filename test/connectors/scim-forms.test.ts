/** The pure half of the SCIM client: paths, resources, PATCH operations, and what contradicts a write. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RemoteAccount } from "../../src/connectors/connector.ts";
import { type PatchInput, patchOperations } from "../../src/connectors/scim/patch.ts";
import { overridden, type ProfileOverrides } from "../../src/connectors/scim/profile.ts";
import { profiles } from "../../src/connectors/scim/profiles/index.ts";
import { discoveredSchema, placed, profileSchema } from "../../src/connectors/scim/schema.ts";
import { contradictions } from "../../src/connectors/scim/verify.ts";
import { enterprise_urn, parsePath, readPath, type ScimObject } from "../../src/core/scim/path.ts";
import { asBoolean, fromResource, toResource } from "../../src/core/scim/resource.ts";
import type { Profile, Value } from "../../src/core/types.ts";

const schema = placed(profileSchema(profiles.strict));

describe("a path", () => {
  it.each([
    ["userName", [null, "userName", null, null]],
    ["name.givenName", [null, "name", null, "givenName"]],
    ['emails[type eq "work"].value', [null, "emails", ["type", "work"], "value"]],
    ['addresses[type eq "a]b"]', null],
    ["entitlements[primary eq True].value", [null, "entitlements", ["primary", true], "value"]],
    [`${enterprise_urn}:manager.value`, [enterprise_urn, "manager", null, "value"]],
    ["urn:ietf:params:scim:schemas:core:2.0:User:displayName", [null, "displayName", null, null]],
    ["__proto__.x", null],
    ["constructor", null],
    ["name.__proto__", null],
    ['emails[__proto__ eq "x"].value', null],
    ["a.b.c", null],
    ["", null],
    ['emails[type ne "work"]', null],
  ])("%s is parsed or refused", (text, wanted) => {
    const path = parsePath(text);
    if (wanted === null) expect(path).toBeNull();
    else {
      const filter = path?.filter === null || path === null ? null : [path.filter.attribute, path.filter.value];
      expect([path?.urn, path?.attribute, filter, path?.sub]).toEqual(wanted);
    }
  });

  it("never writes to a prototype, whatever it is called", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parsePath(`${text}.__proto__`);
        expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
      }),
    );
  });
});

const work = { type: "work", value: "w@x", primary: true };
const home = { type: "home", value: "h@x" };

describe("reading a resource", () => {
  it.each<[string, ScimObject, Profile]>([
    ["names in any case", { USERNAME: "a", Name: { GivenName: "b" } }, { userName: "a", givenName: "b" }],
    ["the work address among others", { emails: [home, work] }, { email: "w@x", secondEmail: "h@x" }],
    [
      "the primary address where none is called work",
      { emails: [{ value: "p@x", primary: "True" }] },
      { email: "p@x" },
    ],
    ["the only address without a type", { emails: [{ value: "o@x" }] }, { email: "o@x" }],
    ["no private address as the work one", { emails: [home] }, { secondEmail: "h@x" }],
    [
      "an extension",
      { [enterprise_urn]: { department: "d", manager: { value: "m" } } },
      { department: "d", manager: "m" },
    ],
    ["a manager as a bare word", { [enterprise_urn]: { manager: "m" } }, { manager: "m" }],
    ["a manager in a list", { [enterprise_urn]: { manager: [{ value: "m" }] } }, { manager: "m" }],
    ["roles as a list of their values", { roles: [{ value: "a" }, { value: "b" }, "c"] }, { roles: ["a", "b", "c"] }],
    ["empty values as none", { title: "", emails: [], displayName: null, name: {} }, {}],
    ["a number where a text belongs", { title: 7 }, { title: "7" }],
  ])("takes %s", (_name, resource, profile) => {
    expect(fromResource({ id: "1", ...resource }, schema)).toMatchObject({ id: "1", enabled: true, profile });
    expect(fromResource({ id: "1", ...resource }, schema)?.profile).toEqual(profile);
  });

  it.each([
    [true, true],
    ["True", true],
    ["false", false],
    ["False", false],
    [[{ value: "False" }], false],
    [undefined, undefined],
    ["maybe", undefined],
  ])("%j as a boolean is %s", (value, wanted) => {
    expect(asBoolean(value)).toBe(wanted);
  });

  it("finds no account where there is no id", () => {
    for (const resource of [{}, { id: "" }, { id: null }, [], null, "x"])
      expect(fromResource(resource, schema)).toBeNull();
  });
});

const names = [...schema.values()].filter(({ attribute }) => !attribute.array).map(({ attribute }) => attribute.name);
const value = fc.string({ minLength: 1, maxLength: 8 }).filter((text) => text.trim() !== "");
const profile = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 8 });

describe("writing a resource", () => {
  it("and reading it gives the same profile", () => {
    fc.assert(
      fc.property(profile, fc.boolean(), (given, enabled) => {
        const resource = { ...toResource(given, enabled, schema, {}), id: "1" };
        const read = fromResource(JSON.parse(JSON.stringify(resource)), schema);
        expect(read).toMatchObject({ enabled });
        // A private address alone is primary for nobody; every other attribute comes back as it went.
        expect(read?.profile).toEqual({ ...given });
      }),
    );
  });

  it("names the extensions that it uses, and only those", () => {
    const plain = toResource({ userName: "a" }, true, schema, {});
    expect(plain["schemas"]).toEqual(["urn:ietf:params:scim:schemas:core:2.0:User"]);
    const more = toResource({ userName: "a", department: "d" }, true, schema, {});
    expect(more["schemas"]).toEqual(["urn:ietf:params:scim:schemas:core:2.0:User", enterprise_urn]);
  });
});

function was(given: Profile): RemoteAccount {
  return { id: "1", profile: given, enabled: true };
}

const manager = `${enterprise_urn}:manager`;
const email = 'emails[type eq "work"]';

const forms: [string, ProfileOverrides, PatchInput, unknown][] = [
  ["a plain attribute", {}, { set: { title: "t" } }, [{ op: "replace", path: "title", value: "t" }]],
  ["a sub-attribute", {}, { set: { givenName: "g" } }, [{ op: "replace", path: "name.givenName", value: "g" }]],
  ["a cleared attribute", {}, { set: { title: null } }, [{ op: "remove", path: "title" }]],
  [
    "a cleared attribute, by null",
    { user: { update: { clear: "null" } } },
    { set: { title: null } },
    [{ op: "replace", path: "title", value: null }],
  ],
  [
    "a cleared attribute, by an empty text",
    { user: { update: { clear: "empty" } } },
    { set: { title: null } },
    [{ op: "replace", path: "title", value: "" }],
  ],
  ["the state", {}, { set: {}, enabled: false }, [{ op: "replace", path: "active", value: false }]],
  [
    "the state as a word",
    { user: { update: { boolean_as_string: true } } },
    { set: {}, enabled: false },
    [{ op: "replace", path: "active", value: "False" }],
  ],
  [
    "capitals",
    { user: { update: { op_case: "capital" } } },
    { set: { title: null } },
    [{ op: "Remove", path: "title" }],
  ],
  [
    "an address that is there",
    {},
    { set: { email: "n@x" }, was: was({ email: "o@x" }) },
    [{ op: "replace", path: `${email}.value`, value: "n@x" }],
  ],
  [
    "an address that is not there",
    {},
    { set: { email: "n@x" }, was: was({}) },
    [{ op: "add", path: "emails", value: [{ type: "work", primary: true, value: "n@x" }] }],
  ],
  ["a cleared address", {}, { set: { email: null }, was: was({ email: "o@x" }) }, [{ op: "remove", path: email }]],
  ["a cleared address that is not there", {}, { set: { email: null }, was: was({}) }, []],
  [
    "two parts of an address in one element",
    {},
    { set: { locality: "K", country: "DE" }, was: was({}) },
    [{ op: "add", path: "addresses", value: [{ type: "work", locality: "K", country: "DE" }] }],
  ],
  [
    "a part of an address beside another",
    {},
    { set: { locality: "K" }, was: was({ country: "DE" }) },
    [{ op: "replace", path: 'addresses[type eq "work"].locality', value: "K" }],
  ],
  ["the manager", {}, { set: { manager: "m" } }, [{ op: "replace", path: manager, value: { value: "m" } }]],
  [
    "the manager as a word",
    { user: { update: { manager: "string" } } },
    { set: { manager: "m" } },
    [{ op: "replace", path: manager, value: "m" }],
  ],
  [
    "the manager by its sub-attribute",
    { user: { update: { manager: "sub" } } },
    { set: { manager: "m" } },
    [{ op: "replace", path: `${manager}.value`, value: "m" }],
  ],
  ["no manager", {}, { set: { manager: null } }, [{ op: "remove", path: manager }]],
  [
    "roles",
    {},
    { set: { roles: ["a", "b"] } },
    [{ op: "replace", path: "roles", value: [{ value: "a" }, { value: "b" }] }],
  ],
  [
    "everything without a path",
    { user: { update: { form: "pathless" } } },
    { set: { givenName: "g", title: "t", department: "d" }, enabled: true },
    [
      {
        op: "replace",
        value: { name: { givenName: "g" }, title: "t", [enterprise_urn]: { department: "d" }, active: true },
      },
    ],
  ],
  [
    "dotted keys",
    { user: { update: { form: "dotted" } } },
    { set: { givenName: "g", department: "d" } },
    [{ op: "replace", value: { "name.givenName": "g", [`${enterprise_urn}:department`]: "d" } }],
  ],
  [
    "the whole list where paths take no filter",
    { user: { update: { filter_paths: false } } },
    { set: { email: "n@x" }, raw: { emails: [work, home] } },
    [{ op: "replace", path: "emails", value: [{ ...work, value: "n@x" }, home] }],
  ],
  [
    "one address where the app keeps one",
    { user: { single_value: ["emails"] } },
    { set: { email: "n@x" }, raw: { emails: [work, home] } },
    [{ op: "replace", path: "emails", value: [{ ...work, value: "n@x" }] }],
  ],
];

describe("a PATCH", () => {
  it.each(forms)("for %s", (_name, overrides, input, wanted) => {
    expect(patchOperations(input, schema, overridden(profiles.strict, overrides))).toEqual(wanted);
  });

  it("refuses an attribute that the app has not got, or that may not be written", () => {
    expect(() => patchOperations({ set: { shoe: "42" } }, schema, profiles.strict)).toThrow(/no attribute shoe/);
  });
});

const verdicts: [string, Profile, Profile, Profile | undefined, boolean][] = [
  ["what was sent is there", { title: "a" }, { title: "a" }, {}, false],
  ["it is not there", { title: "a" }, {}, {}, true],
  ["it is still the old one", { title: "a" }, { title: "o" }, { title: "o" }, true],
  ["the app wrote it in its own way", { phoneNumber: "+49 (30) 1" }, { phoneNumber: "+49301" }, {}, false],
  ["the app folded the address", { email: "A@X" }, { email: "a@x" }, {}, false],
  ["the app made something else of it", { title: "a" }, { title: "Mr a" }, { title: "o" }, false],
  ["something else is there and nothing was known", { title: "a" }, { title: "o" }, undefined, true],
  ["it was cleared", { title: null }, {}, { title: "o" }, false],
  ["it was not cleared", { title: null }, { title: "o" }, { title: "o" }, true],
  ["a list is in another order", { roles: ["a", "b"] }, { roles: ["b", "a"] }, {}, false],
  ["a list lacks something", { roles: ["a", "b"] }, { roles: ["a"] }, { roles: ["a"] }, true],
  ["the same letters are composed otherwise", { title: "é" }, { title: "e\u0301" }, {}, false],
];

describe("after a write", () => {
  it.each(verdicts)("%s", (_name, set, found, before, contradicted) => {
    const sent = { set, ...(before === undefined ? {} : { was: was(before) }) };
    expect(contradictions(sent, was(found), schema).length > 0).toBe(contradicted);
  });

  it("a value that is what was sent never contradicts, whatever was there before", () => {
    fc.assert(
      fc.property(profile, profile, (set, before) => {
        expect(contradictions({ set, enabled: true, was: was(before) }, was(set), schema)).toEqual([]);
      }),
    );
  });
});

function definition(name: string, more: Record<string, Value> = {}) {
  return { name, type: "string", multiValued: false, mutability: "readWrite", ...more };
}

describe("a server's /Schemas", () => {
  const user = {
    id: "urn:ietf:params:scim:schemas:core:2.0:User",
    attributes: [
      definition("userName", { required: true, uniqueness: "server" }),
      definition("name", { type: "complex", subAttributes: [definition("givenName")] }),
      definition("title", { mutability: "readOnly" }),
      definition("nickName", { mutability: "immutable" }),
      definition("password", { mutability: "writeOnly", returned: "never" }),
    ],
  };
  const own = {
    id: "urn:example:2.0:User",
    attributes: [
      definition("Badge", { type: "integer" }),
      definition("tags", { multiValued: true }),
      definition("__proto__"),
    ],
  };

  it("narrows our list to what it has, and adds its own attributes", () => {
    const { attributes } = discoveredSchema(profiles.strict, [
      user,
      own,
      { id: "urn:ietf:params:scim:schemas:core:2.0:Group" },
    ]);
    const told = attributes.map((one) => `${one.name} ${one.writable} ${one.external_name}`);
    expect(told).toEqual([
      "userName always userName",
      "externalId always externalId",
      "givenName always name.givenName",
      "nickName create nickName",
      "title never title",
      "Badge always urn:example:2.0:User:Badge",
      "tags always urn:example:2.0:User:tags",
    ]);
    expect(() => placed({ attributes })).not.toThrow();
  });

  it("without a user schema leaves the profile's list", () => {
    for (const resources of [[], [{ displayName: "a group" }], [null]]) {
      expect(discoveredSchema(profiles.strict, resources)).toEqual(profileSchema(profiles.strict));
    }
  });
});

describe("a custom attribute", () => {
  it("of a server's extension is written and read at its path", () => {
    const path = parsePath("urn:example:2.0:User:badge")!;
    expect(readPath({ "urn:example:2.0:User": { badge: 7 } }, path, false)).toBe(7);
  });
});
