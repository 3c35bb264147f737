/**
 * A SCIM server in memory that insists on exactly what a vendor profile says of its vendor: forms of PATCH, page kinds,
 * limits, needed attributes, what DELETE means. It is the other half of a profile file, so that a profile which
 * contradicts itself fails here and not at a customer's.
 *
 * Pure apart from its two tables; quirks.ts puts HTTP and trouble around it.
 */

import type { ScimProfile } from "../../src/connectors/scim/profile.ts";
import { type PlacedSchema, placed, profileSchema } from "../../src/connectors/scim/schema.ts";
import {
  chosenElement,
  elements,
  field,
  isObject,
  parsePath,
  readPath,
  type ScimObject,
  type ScimPath,
  writePath,
} from "../../src/core/scim/path.ts";
import { asBoolean } from "../../src/core/scim/resource.ts";
import type { Value } from "../../src/core/types.ts";

export type Reply = Readonly<{ status: number; body?: unknown }>;
export type Ask = Readonly<{
  method: string;
  resource: "Users" | "Groups";
  id: string | null;
  query: URLSearchParams;
  body: unknown;
}>;

/** An error that carries its answer: thrown inside, answered outside. */
function refusal(status: number, detail: string, scimType?: string): Error & { reply: Reply } {
  const schemas = ["urn:ietf:params:scim:api:messages:2.0:Error"];
  const body = { schemas, status: `${status}`, detail, ...(scimType === undefined ? {} : { scimType }) };
  return Object.assign(new Error(detail), { reply: { status, body } });
}

type Table = Map<string, ScimObject>;
type Server = Readonly<{
  profile: ScimProfile;
  schema: PlacedSchema;
  users: Table;
  groups: Table;
  nextId: () => string;
}>;
type Operation = Readonly<{ op: string; path: string | undefined; value: unknown }>;

export type Rules = Readonly<{ answer(ask: Ask): Reply; users: Table; groups: Table }>;

function needs(server: Server, body: ScimObject): void {
  const { user, id: vendor } = server.profile;
  for (const name of user.required) {
    const at = server.schema.get(name);
    if (at === undefined || readPath(body, at.path, at.attribute.array) !== undefined) continue;
    if (vendor === "salesforce" && name === "entitlements") {
      throw refusal(409, "REQUIRED_FIELD_MISSING:user_must_have_one_entitlement_which_must_be_a_profileid");
    }
    throw refusal(400, `${at.path.text} is required`, "invalidValue");
  }
  if (user.create.password === "none" && field(body, "password") !== undefined) {
    throw refusal(400, "password is not supported", "invalidValue");
  }
}

function checkSingle(server: Server, body: ScimObject): void {
  for (const name of server.profile.user.single_value) {
    const list = field(body, name);
    if (Array.isArray(list) && list.length > 1) throw refusal(400, `List attribute ${name} exceeds one value`);
  }
}

function unique(table: Table, attribute: string, id: string | null, value: unknown): void {
  for (const [other, row] of table) {
    if (other === id || `${field(row, attribute)}`.toLowerCase() !== `${value}`.toLowerCase()) continue;
    throw refusal(409, `${attribute} ${value} is taken`, "uniqueness");
  }
}

function known(table: Table, id: string | null): ScimObject {
  const row = id === null ? undefined : table.get(id);
  if (row === undefined) throw refusal(404, `Resource ${id} not found`);
  return row;
}

function operations(server: Server, body: unknown): readonly Operation[] {
  const list = field(body, "Operations");
  if (!Array.isArray(list) || list.length === 0) throw refusal(400, "Operations are missing", "invalidSyntax");
  const capital = server.profile.user.update.op_case === "capital";
  return list.map((one) => {
    const op = `${field(one, "op")}`;
    const fits = capital ? /^(Add|Remove|Replace)$/ : /^(add|remove|replace)$/;
    if (!fits.test(op)) throw refusal(400, `The operation ${op} is not known`, "invalidSyntax");
    const path = field(one, "path");
    return { op: op.toLowerCase(), path: typeof path === "string" ? path : undefined, value: field(one, "value") };
  });
}

function pathOf(text: string): ScimPath {
  const path = parsePath(text);
  if (path === null) throw refusal(400, `${text} is not a path`, "invalidPath");
  return path;
}

function setActive(server: Server, row: ScimObject, value: unknown): void {
  if ((typeof value === "string") !== server.profile.user.update.boolean_as_string) {
    throw refusal(400, `active cannot be ${JSON.stringify(value)}`, "invalidValue");
  }
  row["active"] = asBoolean(value);
}

function applyPathed(server: Server, row: ScimObject, one: Operation, path: ScimPath): void {
  const { update, single_value } = server.profile.user;
  if (path.filter !== null && (!update.filter_paths || single_value.includes(path.attribute))) {
    throw refusal(400, `Filters in a path are not supported: ${path.text}`, "invalidPath");
  }
  if (path.filter !== null && one.op === "replace" && chosenElement(row, path) === undefined) {
    throw refusal(400, `Nothing fits ${path.text}`, "noTarget");
  }
  const bare = update.manager === "string" && path.attribute === "manager" && path.sub === null;
  if (path.text === "active") setActive(server, row, one.value);
  else if (one.op === "remove") writePath(row, path, null, false);
  else if (one.op === "add" && Array.isArray(one.value)) {
    writePath(row, path, [...elements(row, path), ...one.value] as Value[], false);
  } else writePath(row, path, (bare ? { value: one.value } : one.value) as Value, false);
}

function applyPathless(server: Server, row: ScimObject, one: Operation): void {
  const { update } = server.profile.user;
  if (update.form === "pathed") throw refusal(400, "An operation without a path", "invalidSyntax");
  if (!isObject(one.value)) throw refusal(400, "An operation without a path needs an object", "invalidValue");
  for (const [name, value] of Object.entries(one.value)) {
    if (name === "active") setActive(server, row, value);
    else if (update.method !== "patch") throw refusal(400, `Only active can be patched, not ${name}`, "mutability");
    else writePath(row, pathOf(name), value as Value, false);
  }
}

function patchUser(server: Server, id: string | null, body: unknown): Reply {
  const row = structuredClone(known(server.users, id));
  for (const one of operations(server, body)) {
    if (one.path === undefined) applyPathless(server, row, one);
    else if (server.profile.user.update.method !== "patch") throw refusal(400, "Only path-less PATCH", "invalidPath");
    else applyPathed(server, row, one, pathOf(one.path));
  }
  checkSingle(server, row);
  unique(server.users, "userName", id, row["userName"]);
  server.users.set(id!, row);
  return { status: 200, body: row };
}

function writeUser(server: Server, ask: Ask): Reply {
  const body = ask.body;
  if (!isObject(body)) throw refusal(400, "A user is an object", "invalidSyntax");
  if (!Array.isArray(body["schemas"])) throw refusal(400, "schemas are missing", "invalidValue");
  if (ask.method === "PUT") known(server.users, ask.id);
  needs(server, body);
  checkSingle(server, body);
  unique(server.users, "userName", ask.id, body["userName"]);
  const id = ask.id ?? server.nextId();
  const { password: _password, groups: _groups, ...kept } = body;
  const row: ScimObject = { active: true, ...kept, id, meta: { resourceType: "User", location: `/Users/${id}` } };
  server.users.set(id, row);
  return { status: ask.method === "PUT" ? 200 : 201, body: row };
}

function removeUser(server: Server, id: string | null): Reply {
  const row = known(server.users, id);
  const { delete: way } = server.profile.user;
  if (way === "forbidden") throw refusal(405, "Accounts are not deleted here");
  if (way === "deactivates") server.users.set(id!, { ...row, active: false });
  else {
    server.users.delete(id!);
    for (const group of server.groups.values()) {
      group["members"] = (group["members"] as ScimObject[]).filter((member) => member["value"] !== id);
    }
  }
  return { status: 204 };
}

function changeMembers(server: Server, group: ScimObject, one: Operation, path: ScimPath): number {
  const form = server.profile.group.members.remove;
  const members = group["members"] as ScimObject[];
  const given = (Array.isArray(one.value) ? one.value : []).map((member) => `${field(member, "value")}`);
  if (one.op === "add") {
    for (const value of given) {
      if (!server.users.has(value)) throw refusal(400, `Member ${value} is not known`, "invalidValue");
      if (!members.some((member) => member["value"] === value)) members.push({ value });
    }
    return given.length;
  }
  if (one.op !== "remove") throw refusal(400, "Members are added or removed", "invalidValue");
  if (path.filter !== null && form !== "filter") throw refusal(400, "Members are removed by value", "invalidPath");
  if (path.filter === null && form !== "value_array")
    throw refusal(400, "Members are removed by filter", "invalidPath");
  const gone = path.filter === null ? given : [`${path.filter.value}`];
  group["members"] = members.filter((member) => !gone.includes(`${member["value"]}`));
  return gone.length;
}

function patchGroup(server: Server, id: string | null, body: unknown): Reply {
  const group = structuredClone(known(server.groups, id));
  const { rename, members } = server.profile.group;
  let changes = 0;
  for (const one of operations(server, body)) {
    const path = one.path === undefined ? null : pathOf(one.path);
    if (path?.attribute === "members") changes += changeMembers(server, group, one, path);
    else if (path === null && rename === "pathless_with_id") group["displayName"] = field(one.value, "displayName");
    else if (path?.attribute === "displayName" && rename === "pathed") group["displayName"] = one.value;
    else throw refusal(400, "Groups cannot be changed this way", "invalidPath");
  }
  if (changes > members.max) throw refusal(400, `At most ${members.max} members change in one request`, "tooMany");
  unique(server.groups, "displayName", id, group["displayName"]);
  server.groups.set(id!, group);
  return { status: 204 };
}

function createGroup(server: Server, body: unknown): Reply {
  if (!server.profile.group.create) throw refusal(405, "Groups are made by hand here");
  if (!isObject(body)) throw refusal(400, "A group is an object", "invalidSyntax");
  unique(server.groups, "displayName", null, body["displayName"]);
  const id = server.nextId();
  server.groups.set(id, { ...body, id, members: [] });
  return { status: 201, body: server.groups.get(id) };
}

function shownGroup(server: Server, group: ScimObject): ScimObject {
  if (server.profile.group.members.readable) return group;
  return { ...group, members: [] };
}

/** Rows that the `filter` parameter lets through; only `eq`, and only on what the vendor searches by. */
function filtered(server: Server, ask: Ask, rows: readonly ScimObject[]): readonly ScimObject[] {
  const text = ask.query.get("filter");
  if (text === null) return rows;
  const parts = /^(.+) eq ("(?:[^"\\]|\\.)*")$/.exec(text);
  if (parts === null) throw refusal(400, `${text} is not a filter`, "invalidFilter");
  const path = pathOf(parts[1]!);
  const { filterable } = server.profile.user;
  const name = [...server.schema.values()].find((at) => at.path.text === path.text)?.attribute.name ?? path.text;
  if (ask.resource === "Users" && !filterable.includes("*") && !filterable.includes(name)) {
    throw refusal(400, `There is no filter by ${path.text}`, "invalidFilter");
  }
  const wanted = `${JSON.parse(parts[2]!)}`.toLowerCase();
  return rows.filter((row) => `${readPath(row, path, false)}`.toLowerCase() === wanted);
}

function listed(server: Server, ask: Ask): Reply {
  const { kind, size } = server.profile.paging;
  const table = ask.resource === "Users" ? server.users : server.groups;
  const rows = filtered(server, ask, [...table.values()]);
  const count = Math.min(size, Number(ask.query.get("count") ?? size));
  if (kind === "cursor" && ask.query.has("startIndex")) throw refusal(400, "startIndex is not supported");
  const asked =
    kind === "cursor" ? ask.query.get("cursor") || "0" : kind === "index" ? ask.query.get("startIndex") : "1";
  const from = kind === "cursor" ? Number(asked) : Math.max(1, Number(asked ?? 1)) - 1;
  const page = kind === "none" ? rows : rows.slice(from, from + count);
  const more = from + count < rows.length;
  return {
    status: 200,
    body: {
      schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
      totalResults: rows.length,
      itemsPerPage: page.length,
      ...(kind === "index" ? { startIndex: from + 1 } : {}),
      ...(kind === "cursor" && more ? { nextCursor: `${from + count}` } : {}),
      Resources: page.map((row) => (ask.resource === "Groups" ? shownGroup(server, row) : row)),
    },
  };
}

function answered(server: Server, ask: Ask): Reply {
  const users = ask.resource === "Users";
  if (ask.method === "GET" && ask.id === null) return listed(server, ask);
  if (ask.method === "GET") {
    const row = known(users ? server.users : server.groups, ask.id);
    return { status: 200, body: users ? row : shownGroup(server, row) };
  }
  if (ask.method === "POST" && ask.id === null) return users ? writeUser(server, ask) : createGroup(server, ask.body);
  if (ask.method === "PUT" && users) return writeUser(server, ask);
  if (ask.method === "PATCH") return users ? patchUser(server, ask.id, ask.body) : patchGroup(server, ask.id, ask.body);
  if (ask.method === "DELETE" && users) return removeUser(server, ask.id);
  if (ask.method === "DELETE" && server.profile.group.delete) {
    known(server.groups, ask.id);
    server.groups.delete(ask.id!);
    return { status: 204 };
  }
  throw refusal(405, `${ask.method} is not possible here`);
}

/** The rules of one vendor, over tables of its own. */
export function quirksRules(profile: ScimProfile): Rules {
  let last = 0;
  const nextId = () => {
    last += 1;
    return `${profile.id}-${last.toString().padStart(6, "0")}`;
  };
  const schema = placed(profileSchema(profile));
  const server: Server = { profile, schema, users: new Map(), groups: new Map(), nextId };
  return {
    users: server.users,
    groups: server.groups,
    answer(ask) {
      try {
        return answered(server, ask);
      } catch (error) {
        if (error instanceof Error && "reply" in error) return error.reply as Reply;
        throw error;
      }
    },
  };
}
