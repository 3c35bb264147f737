/**
 * People from any system that answers JSON over HTTP, told by its configuration where they are: a report, a paged list,
 * an interface with cursors. Read only. Made by registry.ts; its laws are those of connector.ts.
 */
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
import { readOnly } from "../readOnly.ts";
import { type RestConfig, type RestCredentials, type RestSettings, rest_config } from "./config.ts";
import { after, cursorOf, positionOf, requestFor } from "./paging.ts";
import { accountsUnder, idOf, valueAt } from "./records.ts";

/** `allow_private`: the operator lets connectors reach private and loopback addresses. */
export type RestOptions = Readonly<{ allow_private?: boolean }>;

type Parts = Readonly<{ http: Http; settings: RestSettings }>;

function headersOf(settings: RestSettings, token: string): Record<string, string> {
  if (settings.auth === "none") return {};
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
  return httpClient({
    base_url: settings.base_url,
    headers: () => ({ accept: "application/json", ...headersOf(settings, text) }),
    secrets: () => (text === "" ? [] : [text, ...Object.values(headersOf(settings, text))]),
    concurrency: settings.concurrency ?? 4,
    allow_private: options.allow_private === true,
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
  const found = valueAt(answer.json, records);
  if (Array.isArray(found)) return found;
  const where = records === "" ? "the answer is" : `what is at ${records} is`;
  const keys = typeof answer.json === "object" && answer.json !== null ? Object.keys(answer.json).slice(0, 10) : [];
  const hint = keys.length === 0 ? "" : `; it has ${keys.map((key) => `/${key}`).join(", ")}`;
  throw new ConnectorFault("denied", `${answer.request}: ${where} no list${hint}: check where the records are`, {
    attribute: "records",
  });
}

async function list(parts: Parts, ctx: Context, request: PageRequest): Promise<Page> {
  const { settings, http } = parts;
  const position = positionOf(request.cursor);
  const answer = await call(parts, ctx, requestFor(position, settings));
  const records = recordsOf(answer, settings);
  const items: RemoteAccount[] = [];
  const refused: { place: string; reason: string; id?: string }[] = [];
  const accountOf = accountsUnder(settings);
  const ids = new Set<string>();
  let unknown = 0;
  for (const [n, record] of records.entries()) {
    const place = `record ${position.seen + n + 1}`;
    const account = accountOf(record, place);
    const id = "id" in account ? account.id : account.known_id;
    if (id === undefined || ids.has(id)) unknown++;
    if ("error" in account) refused.push({ place, reason: account.error, ...(id === undefined ? {} : { id }) });
    else if (ids.has(account.id)) refused.push({ place, reason: `the id ${account.id} was there before` });
    else items.push(account);
    if (id !== undefined) ids.add(id);
  }
  const paged = { answer, records: records.length, fresh: records.length - unknown, first: idOf(records[0], settings) };
  const then = after(position, paged, settings, http.base_url);
  const told = refused.length === 0 ? {} : { refused };
  const attributes = settings.columns === undefined ? {} : { attributes: Object.keys(settings.columns) };
  if ("next" in then) return { items, next: cursorOf(then.next), ...told, ...attributes };
  return { items, complete: then.complete, ...told, ...attributes };
}

/** Every account that `accept` takes, by reading the whole list. @throws `unsupported` where absence would be a guess. */
async function scan(parts: Parts, ctx: Context, accept: (one: RemoteAccount) => boolean): Promise<RemoteAccount[]> {
  const found: RemoteAccount[] = [];
  for (let cursor: string | undefined; ; ) {
    const page: Page = await list(parts, ctx, cursor === undefined ? {} : { cursor });
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
    path: one.path.replaceAll("{id}", encodeURIComponent(id)),
  });
  const fault = statusFault(answer, ctx.now());
  if (fault?.kind === "not_found") return null;
  if (fault !== null) throw fault;
  const account = accountsUnder(parts.settings)(valueAt(answer.json, one.record), `record ${id}`);
  if ("error" in account) throw new ConnectorFault("denied", `${answer.request}: ${account.error}`);
  if (account.id !== id)
    throw new ConnectorFault("denied", `${answer.request} answered with ${account.id}, which is another record`);
  return account;
}

/** What attributes there are and of which kind, by the first page: a text unless all of its values are of another kind. */
async function schema(parts: Parts, ctx: Context): Promise<Schema> {
  const { items } = await list(parts, ctx, {});
  const names = new Set([
    ...Object.keys(parts.settings.columns ?? {}),
    ...items.flatMap(({ profile }) => Object.keys(profile)),
  ]);
  return { attributes: [...names].map((name) => attributeOf(name, items, parts.settings)) };
}

function attributeOf(name: string, items: readonly RemoteAccount[], { columns, id }: RestSettings): Attribute {
  const values = items.flatMap(({ profile }) => profile[name] ?? []);
  const place = columns?.[name] ?? `/${name}`;
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
  const settings = rest_config.parse(config);
  const parts: Parts = { settings, http: client(settings, credentials, options) };
  return Object.freeze({
    kind: "rest",
    ...readOnly("This source"),
    test: async (ctx) => void (await list(parts, ctx, {})),
    schema: (ctx) => schema(parts, ctx),
    list: (ctx, page) => list(parts, ctx, page),
    read: (ctx, id) => read(parts, ctx, id),
    find: (ctx, key: MatchKey) => scan(parts, ctx, ({ profile }) => profile[key.attribute] === key.value),
    close: parts.http.close,
  } satisfies Connector);
}
