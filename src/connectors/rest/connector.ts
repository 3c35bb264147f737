/**
 * People from any system that answers JSON over HTTP, told by its configuration where they are: a report, a paged list,
 * an interface with cursors, a feed of what holds from which day on. Read only. Made by registry.ts; its laws are those of connector.ts.
 */
import { createHash } from "node:crypto";
import type { Attribute, Schema, Value } from "../../core/types.ts";
import {
  type Connector,
  ConnectorFault,
  type Context,
  type MatchKey,
  type Page,
  type PageRequest,
  type RemoteAccount,
} from "../connector.ts";
import { type Http, type HttpAnswer, type HttpRequest, httpClient, statusFault } from "../http.ts";
import { type OAuthForm, oauthClient, tokenPlace } from "../oauth.ts";
import { only_read, readOnly } from "../readOnly.ts";
import { sinceOf } from "./changes.ts";
import { type RestConfig, type RestCredentials, rest_config } from "./config.ts";
import { after, cursorOf, type Position, positionOf, requestFor } from "./paging.ts";
import { type RestSettings, settingsOf } from "./presets.ts";
import { accountsUnder, firstAt, idOf, valueAt } from "./records.ts";

/**
 * `allow_private`: the operator lets connectors reach private and loopback addresses. `now_ms`: how long a token lives is
 * measured by it.
 */
export type RestOptions = Readonly<{ allow_private?: boolean; now_ms?: () => number }>;

type Parts = Readonly<{ http: Http; settings: RestSettings }>;

function headersOf(settings: RestSettings, token: string): Record<string, string> {
  if (settings.auth === "none" || settings.auth === "oauth") return {};
  if (settings.auth === "bearer") return { authorization: `Bearer ${token}` };
  if (settings.auth === "header") return { [(settings.header ?? "x-api-key").toLowerCase()]: token };
  return { authorization: `Basic ${Buffer.from(`${settings.username ?? ""}:${token}`).toString("base64")}` };
}

function client(settings: RestSettings, { token }: RestCredentials, options: RestOptions): Http {
  if (settings.auth !== "none" && token === undefined) {
    throw new ConnectorFault("denied", 'The app\'s secret "token" has not been entered', { attribute: "token" });
  }
  const text = token?.reveal() ?? "";
  if (settings.auth !== "none" && !/^[\x20-\x7e]+$/.test(text)) {
    throw new ConnectorFault("invalid", "The token is empty, or holds characters that no HTTP header can carry", {
      attribute: "token",
    });
  }
  const allow_private = options.allow_private === true;
  const plain = {
    base_url: settings.base_url,
    headers: () => ({ accept: "application/json", ...headersOf(settings, text) }),
    secrets: () => (text === "" ? [] : [text, ...Object.values(headersOf(settings, text))]),
    concurrency: settings.concurrency ?? 4,
    allow_private,
  };
  if (settings.auth !== "oauth" || token === undefined) return httpClient(plain);
  const { now_ms } = options;
  const form = requireOAuth(settings);
  return oauthClient(plain, tokenPlace(form, token, { allow_private, ...(now_ms === undefined ? {} : { now_ms }) }));
}

function requireOAuth({ oauth }: RestSettings): OAuthForm {
  if (oauth !== undefined) return oauth;
  throw new ConnectorFault("invalid", "Sign-in by oauth needs token_url and client_id in oauth", {
    attribute: "oauth",
  });
}

/** An answer that is a success. @throws ConnectorFault as its status says, or `denied` for what is no JSON. */
async function call({ http }: Parts, ctx: Context, request: HttpRequest): Promise<HttpAnswer> {
  const answer = await http.send(ctx, request);
  const fault = statusFault(answer, ctx.now());
  if (fault !== null) throw fault;
  if (answer.json !== undefined) return answer;
  throw new ConnectorFault(
    "denied",
    `${answer.request} answered ${answer.status} without JSON: check the base URL and the path`,
    {
      status: `${answer.status}`,
    },
  );
}

function recordsOf(answer: HttpAnswer, { records }: RestSettings): readonly unknown[] {
  const found = firstAt(answer.json, records, Array.isArray);
  if (Array.isArray(found)) return found;
  const where = records.join() === "" ? "the answer is" : `what is at ${records.join(" or ")} is`;
  const keys = typeof answer.json === "object" && answer.json !== null ? Object.keys(answer.json).slice(0, 10) : [];
  const hint = keys.length === 0 ? "" : `; it has ${keys.map((key) => `/${key}`).join(", ")}`;
  throw new ConnectorFault("denied", `${answer.request}: ${where} no list${hint}: check where the records are`, {
    attribute: "records",
  });
}

/** What a page's records are: accounts, what could not be read, and how many had an id of their own. */
type Gathered = Readonly<{ items: RemoteAccount[]; refused: Refused[]; fresh: number }>;
type Refused = Readonly<{ place: string; reason: string; id?: string }>;

const again_hint = "(several rows of one person are taken where the source has several_rows)";

function gather(records: readonly unknown[], seen: number, settings: RestSettings, repeats: boolean): Gathered {
  const items: RemoteAccount[] = [];
  const refused: Refused[] = [];
  const accountsOf = accountsUnder(settings);
  const ids = new Set<string>();
  let fresh = 0;
  for (const [n, record] of records.entries()) {
    const place = `record ${seen + n + 1}`;
    const read = accountsOf(record, place);
    const id = "rows" in read ? read.id : read.known_id;
    const again = id !== undefined && !repeats && ids.has(id);
    if (id !== undefined && !again) fresh++;
    if ("error" in read) refused.push({ place, reason: read.error, ...(id === undefined ? {} : { id }) });
    else if (again) refused.push({ place, reason: `the id ${id} was there before ${again_hint}` });
    else if (read.rows.length > 1 && !repeats)
      refused.push({ place, id: read.id, reason: `it has ${read.rows.length} slices ${again_hint}` });
    else items.push(...read.rows);
    if (id !== undefined) ids.add(id);
  }
  return { items, refused, fresh };
}

/**
 * Where a list begins. Rows of one person that stand apart from each other are always read as a whole: the one that
 * changed would say, alone, that the others are gone.
 */
function beginning(settings: RestSettings, request: PageRequest): Position {
  const { since } = request;
  if (since === undefined || settings.changes === undefined) return positionOf(request.cursor);
  const apart = request.repeats === true && settings.slices === undefined;
  return positionOf(request.cursor, apart ? undefined : since);
}

async function list(parts: Parts, ctx: Context, request: PageRequest): Promise<Page> {
  const { settings, http } = parts;
  const repeats = request.repeats === true;
  const from = beginning(settings, request);
  const answer = await call(parts, ctx, requestFor(from, settings));
  const records = recordsOf(answer, settings);
  const { items, refused, fresh } = gather(records, from.seen, settings, repeats);
  const { changes } = settings;
  const began = changes === undefined ? null : sinceOf(answer.header("date"), ctx.now(), changes);
  const position = {
    ...from,
    next_since: from.page === 1 ? began : from.next_since,
    torn: from.torn || refused.length > 0,
  };
  const paged = { answer, records: records.length, fresh, first: markOf(records[0], settings, repeats) };
  const then = after(position, paged, settings, http.base_url);
  const told = {
    ...(refused.length === 0 ? {} : { refused }),
    ...(settings.columns === undefined ? {} : { attributes: attributesOf(settings) }),
  };
  if ("next" in then) return { items, next: cursorOf(then.next), ...told };
  // What could not be read must be asked for again, so the moment to ask from does not move.
  const since = then.complete && !position.torn && position.next_since !== null ? { since: position.next_since } : {};
  // A list of changes has nobody in it who did not change: absence proves nothing.
  return { items, complete: then.complete && position.since === null, ...since, ...told };
}

/** Reads a page. @throws ConnectorFault also where no record of it has an id: then the form is wrong, not the records. */
async function tryOut(parts: Parts, ctx: Context): Promise<void> {
  const { items, refused = [] } = await list(parts, ctx, { repeats: true });
  const [first] = refused;
  if (first === undefined || items.length > 0 || refused.some(({ id }) => id !== undefined)) return;
  const reason = `None of ${refused.length} records can be read: ${first.place}: ${first.reason}. Check where the id is`;
  throw new ConnectorFault("denied", reason, { attribute: "id" });
}

/** What tells a page that comes again: its first id, or its whole first record where one id has many. */
function markOf(record: unknown, settings: RestSettings, repeats: boolean): string | undefined {
  if (!repeats || record === undefined) return idOf(record, settings);
  return createHash("sha256").update(JSON.stringify(record)).digest("base64url");
}

const attributesOf = ({ columns, slices }: RestSettings): readonly string[] => [
  ...new Set([
    ...Object.keys({ ...columns, ...slices?.columns }),
    ...(slices === undefined ? [] : [slices.start, slices.end]),
  ]),
];

/** Every account that `accept` takes, by reading the whole list. @throws `unsupported` where absence would be a guess. */
async function scan(parts: Parts, ctx: Context, accept: (one: RemoteAccount) => boolean): Promise<RemoteAccount[]> {
  const found: RemoteAccount[] = [];
  for (let cursor: string | undefined; ; ) {
    const page: Page = await list(parts, ctx, { repeats: true, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...page.items.filter(accept));
    if (page.next === undefined) {
      if (found.length > 0 || page.complete === true) return found;
      throw new ConnectorFault(
        "unsupported",
        `${parts.http.base_url}${parts.settings.path} cannot be read as a whole, so nobody is known to be missing`,
      );
    }
    cursor = page.next;
  }
}

async function read(parts: Parts, ctx: Context, id: string): Promise<RemoteAccount | null> {
  const { one } = parts.settings;
  if (one === undefined) return (await scan(parts, ctx, (account) => account.id === id))[0] ?? null;
  const answer = await parts.http.send(ctx, {
    method: "GET",
    path: pathOf(one.path, id),
  });
  const fault = statusFault(answer, ctx.now());
  if (fault?.kind === "not_found") return null;
  if (fault !== null) throw fault;
  const found = accountsUnder(parts.settings)(valueAt(answer.json, one.record), `record ${id}`);
  if ("error" in found) throw new ConnectorFault("denied", `${answer.request}: ${found.error}`);
  if (found.id !== id)
    throw new ConnectorFault("denied", `${answer.request} answered with ${found.id}, which is another record`);
  return found.rows[0] ?? null;
}

/** The place of one person. Between quotes, as in OData's `Person('{id}')`, a quote of the id is doubled. */
function pathOf(path: string, id: string): string {
  const encoded = (text: string) => encodeURIComponent(text).replaceAll("'", "%27");
  return path
    .replaceAll("'{id}'", () => `'${encoded(id.replaceAll("'", "''"))}'`)
    .replaceAll("{id}", () => encoded(id));
}

/** What attributes there are and of which kind, by the first page: a text unless all of its values are of another kind. */
async function schema(parts: Parts, ctx: Context): Promise<Schema> {
  const { items } = await list(parts, ctx, { repeats: true });
  const names = new Set([
    ...(parts.settings.columns === undefined ? [] : attributesOf(parts.settings)),
    ...items.flatMap(({ profile }) => Object.keys(profile)),
  ]);
  return { attributes: [...names].map((name) => attributeOf(name, items, parts.settings)) };
}

function attributeOf(name: string, items: readonly RemoteAccount[], { columns, slices, id }: RestSettings): Attribute {
  const values = items.flatMap(({ profile }) => profile[name] ?? []);
  const place = columns?.[name] ?? slices?.columns[name] ?? `/${name}`;
  return {
    name,
    title: name,
    type: typeOf(values),
    array: items.some(({ profile }) => Array.isArray(profile[name])),
    required: place === id,
    writable: "never",
    readable: true,
    unique: place === id,
    case_exact: true,
    external_name: place,
  };
}

function typeOf(values: readonly Value[]): Attribute["type"] {
  if (values.length === 0) return "string";
  if (values.every((value) => typeof value === "boolean")) return "boolean";
  if (values.every((value) => Number.isSafeInteger(value))) return "integer";
  return values.every((value) => typeof value === "number") ? "number" : "string";
}

/** A source over HTTP. Throws `invalid` or `denied` for a configuration that can never work. */
export function restConnector(config: RestConfig, credentials: RestCredentials, options: RestOptions = {}): Connector {
  const settings = settingsOf(rest_config.parse(config));
  const parts: Parts = { settings, http: client(settings, credentials, options) };
  return Object.freeze({
    kind: "rest",
    ...readOnly("This source"),
    can: { ...only_read, changes: settings.changes !== undefined },
    test: (ctx) => tryOut(parts, ctx),
    schema: (ctx) => schema(parts, ctx),
    list: (ctx, page) => list(parts, ctx, page),
    read: (ctx, id) => read(parts, ctx, id),
    find: (ctx, key: MatchKey) => scan(parts, ctx, ({ profile }) => profile[key.attribute] === key.value),
    close: parts.http.close,
  } satisfies Connector);
}
