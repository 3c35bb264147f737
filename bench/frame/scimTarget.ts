/**
 * A lean SCIM 2.0 server on bare node:http for benchmarks (see target.ts): Users with create, read, find by an equality
 * filter, PUT, PATCH and DELETE; Groups with member deltas; the three discovery documents.
 *
 *     node bench/frame/scimTarget.ts --port 0 [--latency MS] [--members N]
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { hostOptions, listening, ready } from "../../demo/apps/host.ts";

type Resource = Record<string, unknown> & { id: string };
type Operation = { op: string; path?: string; value?: unknown };

const options = hostOptions(["latency", "members", "bulk"]);
/** Operations of a bulk; 0: there is none, and no filter joins values. */
const bulk_max = Number(options.rest["bulk"] ?? 0);
const latency_ms = Number(options.rest["latency"] ?? 0);
const max_members = Number(options.rest["members"] ?? Number.POSITIVE_INFINITY);

const users = new Map<string, Resource>();
const byName = new Map<string, Resource>();
const byExternal = new Map<string, Resource>();
const groups = new Map<string, Resource & { members: Map<string, unknown> }>();
const disabled = new Map<string, number>();
/** Tenants of one server: what follows the base path as a number. A userName is taken only within one. */
let tenant = "";
let counts: Record<string, number> = {};
let conflicts = 0;
let next_id = 1;

const core = "urn:ietf:params:scim:schemas:core:2.0";
const config = {
  schemas: [`${core}:ServiceProviderConfig`],
  patch: { supported: true },
  bulk: { supported: bulk_max > 0, maxOperations: bulk_max, maxPayloadSize: 1_048_576 },
  filter: { supported: bulk_max > 0, maxResults: 200 },
  changePassword: { supported: true },
  sort: { supported: false },
  etag: { supported: false },
  authenticationSchemes: [{ type: "oauthbearertoken", name: "Bearer", description: "Bearer token" }],
};

/** Answers a request; null: no body. */
function answer(method: string, path: string, query: URLSearchParams, body: unknown): [number, unknown] {
  const [, kind = "", id] = path.split("/");
  if (kind === "ServiceProviderConfig") return [200, config];
  if (kind === "ResourceTypes" || kind === "Schemas") return [200, page([])];
  if (kind === "Users") return id === undefined ? answerUsers(method, query, body) : answerUser(method, id, body);
  if (kind === "Bulk" && bulk_max > 0) return answerBulk(body);
  if (kind === "Groups") return id === undefined ? answerGroups(method, query, body) : answerGroup(method, id, body);
  return refuse(404, "no such endpoint");
}

type BulkOperation = { method: string; path: string; bulkId?: string; data?: unknown };

/** Each operation as the request that it would be by itself (RFC 7644 3.7), with its body as that would have had it. */
function answerBulk(body: unknown): [number, unknown] {
  const { Operations } = body as { Operations: BulkOperation[] };
  if (Operations.length > bulk_max) return refuse(413, `more than ${bulk_max} operations`);
  const answers = Operations.map(({ method, path, bulkId, data }) => {
    count(method, path);
    const [status, response] = answer(method, path, new URLSearchParams(), data);
    const id = (response as Partial<Resource> | null)?.id;
    return { method, bulkId, status: `${status}`, ...(id === undefined ? {} : { location: `/Users/${id}` }), response };
  });
  return [200, { schemas: ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"], Operations: answers }];
}

function count(method: string, path: string): void {
  const key = `${method} ${path.split("/")[1] ?? ""}`;
  counts[key] = (counts[key] ?? 0) + 1;
}

const refuse = (status: number, detail: string): [number, unknown] => [
  status,
  { schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"], status: `${status}`, detail },
];

function page(resources: readonly unknown[], total = resources.length, start = 1) {
  return {
    schemas: ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
    totalResults: total,
    startIndex: start,
    itemsPerPage: resources.length,
    Resources: resources,
  };
}

/** `name eq "value"`, and several of them joined by `or`. */
const equality = /(\w+) eq "((?:[^"\\]|\\.)*)"/g;
const equalities = new RegExp(`^${equality.source}(?: or ${equality.source})${bulk_max > 0 ? "*" : "{0}"}$`);

function userWith(name: string, text: string): Resource | undefined {
  const value = JSON.parse(`"${text}"`) as string;
  if (name === "userName") return byName.get(nameKey(value));
  if (name === "externalId") return byExternal.get(value);
  return [...users.values()].find((user) => user[name] === value);
}

const nameKey = (name: unknown) => `${tenant} ${String(name).toLowerCase()}`;

function answerUsers(method: string, query: URLSearchParams, body: unknown): [number, unknown] {
  if (method === "POST") {
    const given = body as Record<string, unknown>;
    const name = nameKey(given["userName"]);
    if (byName.has(name)) {
      conflicts++;
      return refuse(409, "userName is taken");
    }
    const user: Resource = { ...given, id: `t${next_id++}`, meta: { resourceType: "User" } };
    users.set(user.id, user);
    byName.set(name, user);
    if (typeof given["externalId"] === "string") byExternal.set(given["externalId"], user);
    return [201, user];
  }
  const filter = query.get("filter") ?? "";
  if (equalities.test(filter)) {
    const found = new Set([...filter.matchAll(equality)].map(([, name = "", value = ""]) => userWith(name, value)));
    found.delete(undefined);
    return [200, page([...found])];
  }
  return [200, listed([...users.values()], query)];
}

function listed(all: readonly unknown[], query: URLSearchParams) {
  const start = Math.max(1, Number(query.get("startIndex") ?? 1));
  const count = Math.min(200, Number(query.get("count") ?? 100));
  return page(all.slice(start - 1, start - 1 + count), all.length, start);
}

function answerUser(method: string, id: string, body: unknown): [number, unknown] {
  const user = users.get(id);
  if (user === undefined) return refuse(404, "no such user");
  if (method === "GET") return [200, user];
  if (method === "DELETE") {
    users.delete(id);
    byName.delete(nameKey(user["userName"]));
    return [204, null];
  }
  const was = user["active"];
  if (method === "PUT") {
    for (const name of Object.keys(user)) if (name !== "id" && name !== "meta") delete user[name];
    Object.assign(user, body, { id });
  } else {
    for (const operation of (body as { Operations: Operation[] }).Operations) patch(user, operation);
  }
  if (was !== false && user["active"] === false) disabled.set(String(user["externalId"] ?? id), Date.now());
  return [200, user];
}

/** Paths of one or two names, with or without a schema's URN; a value filter changes the first element. */
function patch(target: Record<string, unknown>, { op, path, value }: Operation): void {
  if (path === undefined) {
    for (const [name, one] of Object.entries(value as object)) patch(target, { op, path: name, value: one });
    return;
  }
  const urn = /^(urn:[\w:.]+?:User):(.+)$/.exec(path);
  if (urn) {
    patch(inside(target, urn[1] ?? ""), { op, path: urn[2] ?? "", value });
    return;
  }
  const [, name = path, , sub] = /^(\w+)(\[[^\]]*\])?(?:\.(\w+))?$/.exec(path) ?? [];
  if (sub === undefined) {
    if (op.toLowerCase() === "remove") delete target[name];
    else target[name] = value;
    return;
  }
  const inner = inside(target, name);
  if (op.toLowerCase() === "remove") delete inner[sub];
  else inner[sub] = value;
}

/** The object below a name, made when absent; of a list the first element. */
function inside(target: Record<string, unknown>, name: string): Record<string, unknown> {
  target[name] ??= {};
  const held = target[name];
  if (!Array.isArray(held)) return held as Record<string, unknown>;
  held[0] ??= {};
  return held[0] as Record<string, unknown>;
}

function answerGroups(method: string, query: URLSearchParams, body: unknown): [number, unknown] {
  if (method === "POST") {
    const given = body as Record<string, unknown>;
    const members = membersOf(given["members"]);
    if (members.length > max_members) return refuse(413, `more than ${max_members} members in one request`);
    const group = { ...given, id: `g${next_id++}`, members: new Map(members.map((one) => [one.value, one])) };
    groups.set(group.id, group);
    return [201, shown(group, query)];
  }
  const filter = /^displayName eq "((?:[^"\\]|\\.)*)"$/.exec(query.get("filter") ?? "");
  const all = [...groups.values()].filter((one) => !filter || one["displayName"] === JSON.parse(`"${filter[1]}"`));
  return [
    200,
    listed(
      all.map((one) => shown(one, query)),
      query,
    ),
  ];
}

const membersOf = (value: unknown) => (Array.isArray(value) ? value : []) as { value: string }[];

function shown(group: Resource & { members: Map<string, unknown> }, query: URLSearchParams) {
  const { members, ...rest } = group;
  const left_out = (query.get("excludedAttributes") ?? "").split(",").includes("members");
  return left_out ? rest : { ...rest, members: [...members.values()] };
}

function answerGroup(method: string, id: string, body: unknown): [number, unknown] {
  const group = groups.get(id);
  if (group === undefined) return refuse(404, "no such group");
  if (method === "GET") return [200, shown(group, new URLSearchParams())];
  if (method === "DELETE") return groups.delete(id) ? [204, null] : refuse(404, "no such group");
  const operations = method === "PATCH" ? (body as { Operations: Operation[] }).Operations : [];
  const touched = operations.reduce((sum, { value }) => sum + membersOf(value).length, 0);
  if (touched > max_members) return refuse(413, `more than ${max_members} members in one request`);
  for (const { op, path, value } of operations) {
    const one = /^members\[value eq "(.*)"\]$/.exec(path ?? "");
    if (one) group.members.delete(one[1] ?? "");
    else if (path === "members" && op.toLowerCase() === "remove")
      for (const member of membersOf(value)) group.members.delete(member.value);
    else if (path === "members") for (const member of membersOf(value)) group.members.set(member.value, member);
    else patch(group, { op, ...(path === undefined ? {} : { path }), value });
  }
  return [204, null];
}

function handle(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    if (!request.url?.startsWith("/__") && request.headers.authorization !== `Bearer ${options.token}`)
      return send(response, 401, refuse(401, "who are you?")[1]);
    const url = new URL(request.url ?? "/", "http://target");
    const text = Buffer.concat(chunks).toString();
    if (url.pathname.startsWith("/__")) return send(response, 200, control(url.pathname));
    const method = request.method ?? "GET";
    const [, number = "", path = ""] = /^\/scim\/v2(?:\/(\d+))?(.*)$/.exec(url.pathname) ?? [];
    tenant = number;
    count(method, path);
    const [status, body] = answer(method, path, url.searchParams, text === "" ? undefined : JSON.parse(text));
    if (latency_ms > 0) setTimeout(() => send(response, status, body), latency_ms);
    else send(response, status, body);
  });
}

function control(path: string): unknown {
  if (path === "/__disabled") return Object.fromEntries(disabled);
  if (path === "/__reset") {
    for (const map of [users, byName, byExternal, groups, disabled]) map.clear();
    counts = {};
    conflicts = 0;
    return {};
  }
  let active = 0;
  for (const user of users.values()) if (user["active"] !== false) active++;
  const total = Object.values(counts).reduce((sum, one) => sum + one, 0);
  return { requests: counts, total, users: users.size, active, conflicts };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = body === null ? "" : JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/scim+json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

const server = createServer(handle);
server.keepAliveTimeout = 60_000;
const port = await listening(server, options.port);
ready(`http://127.0.0.1:${port}/scim/v2`, options.token);
