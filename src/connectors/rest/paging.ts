/**
 * Where the next page is, in each of the ways that HTTP interfaces have: numbered pages, an offset, a cursor or an
 * address in the body, a Link header (RFC 8288). A list ends at an empty page, at its total, or where nothing leads on;
 * a page that is shorter than asked for is no end, because many servers give less than they are asked for.
 *
 * A list's cursor holds all that is needed to go on after a restart.
 */
import { ConnectorFault } from "../connector.ts";
import type { HttpAnswer, HttpRequest } from "../http.ts";
import { changedSince } from "./changes.ts";
import type { RestSettings } from "./presets.ts";
import { firstAt, valueAt } from "./records.ts";

/**
 * `at`: a page's number, an offset, the server's cursor, or path and query; null: the first page. `odd`: all was not well.
 * `since`: only what changed since then is asked for. `next_since`: from when on the next list asks; null: that is not known.
 * `torn`: something could not be read. `mark`: an earlier `at`, which must not come again. `empty`: pages without a record
 * one after another.
 */
export type Position = Readonly<{
  page: number;
  at: number | string | null;
  first: string | null;
  seen: number;
  odd: boolean;
  since: string | null;
  next_since: string | null;
  torn: boolean;
  mark: number | string | null;
  empty: number;
}>;

const start: Position = {
  ...{ page: 1, at: null, first: null, seen: 0, odd: false },
  ...{ since: null, next_since: null, torn: false, mark: null, empty: 0 },
};
const pages_max = 100_000;
/** Servers that filter behind their paging give empty pages in between; so many in a row are no list any more. */
const empty_max = 100;
const next_max_chars = 16_000;

/** The position that a cursor of ours stands for. @throws ConnectorFault `invalid` for any other text. */
export function positionOf(cursor: string | undefined, since?: string): Position {
  if (cursor === undefined || cursor === "") return { ...start, since: since ?? null };
  try {
    const value = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")) as Position;
    if (typeof value.page === "number" && typeof value.seen === "number") return { ...start, ...value };
  } catch {
    // falls through to the same refusal
  }
  throw new ConnectorFault("invalid", "The list cursor is not one of this connector's; start the list again");
}

export const cursorOf = (position: Position): string => Buffer.from(JSON.stringify(position)).toString("base64url");

/** The request for a page. */
export function requestFor(position: Position, { path, query, paging, changes }: RestSettings): HttpRequest {
  const { since } = position;
  const whole: Record<string, string> =
    changes === undefined || since === null ? { ...query } : changedSince(query, changes, since);
  if (paging.kind === "page" || paging.kind === "offset") {
    const from = paging.kind === "page" ? paging.first : 0;
    whole[paging.parameter] = String(position.at ?? from);
    if (paging.size_parameter !== undefined) whole[paging.size_parameter] = String(paging.size);
  }
  if (position.at === null || typeof position.at === "number") return { method: "GET", path, query: whole };
  if (paging.kind === "cursor") return { method: "GET", path, query: { ...whole, [paging.parameter]: position.at } };
  const at = position.at.indexOf("?");
  if (at < 0) return { method: "GET", path: position.at };
  return { method: "GET", path: position.at.slice(0, at), search: position.at.slice(at) };
}

/** What a page's answer says of the list. */
export type Paged = Readonly<{ answer: HttpAnswer; records: number; fresh: number; first: string | undefined }>;

/** The position after a page; null with `complete` where the list is over. */
export function after(
  position: Position,
  { answer, records, fresh, first }: Paged,
  settings: RestSettings,
  base_url: string,
): Readonly<{ next: Position } | { complete: boolean }> {
  const seen = position.seen + fresh;
  const odd = position.odd || fresh < records;
  const total = settings.total === undefined ? undefined : Number(valueAt(answer.json, settings.total) ?? Number.NaN);
  const counted = total === undefined || total === seen;
  const ends = { complete: counted && !odd };
  const empty = records === 0 ? position.empty + 1 : 0;
  const leads = settings.paging.kind === "url" || settings.paging.kind === "link";
  if (records === 0 && !leads) return ends;
  // A server that does not know our paging gives its first page for ever: that is not a list that was seen whole.
  const again = position.page > 1 && first !== undefined && first === position.first;
  if (again || position.page >= pages_max || empty > empty_max) return { complete: false };
  if (total !== undefined && seen >= total) return ends;
  const at = leadsTo(position, answer, records, settings, base_url);
  if (at === null) return ends;
  if (at === position.at) return records === 0 ? ends : { complete: false };
  if (position.mark !== null && at === position.mark) return { complete: false };
  // A mark that moves on at every power of two meets any circle of pages (Brent), however late it is entered.
  const mark = Number.isInteger(Math.log2(position.page)) ? position.at : position.mark;
  const page = position.page + 1;
  return { next: { ...position, page, at, first: position.first ?? first ?? null, seen, odd, mark, empty } };
}

function leadsTo(
  { at }: Position,
  answer: HttpAnswer,
  records: number,
  { paging }: RestSettings,
  base_url: string,
): number | string | null {
  if (paging.kind === "none") return null;
  if (paging.kind === "page") return Number(at ?? paging.first) + 1;
  if (paging.kind === "offset") return Number(at ?? 0) + records;
  const next =
    paging.kind === "link"
      ? linkOf(answer)
      : paging.kind === "url"
        ? firstAt(answer.json, paging.next, isThere)
        : valueAt(answer.json, paging.next);
  if (!isThere(next)) return null;
  const text = typeof next === "string" || typeof next === "number" ? String(next) : "";
  if (text === "" || text.length > next_max_chars)
    throw new ConnectorFault(
      "denied",
      `${answer.request}: what leads to its next page is no text of a bearable length`,
    );
  return paging.kind === "cursor" ? text : below(text, answer, base_url);
}

const isThere = (next: unknown) => next !== undefined && next !== null && next !== "" && next !== false;

/** The address of the next page in a Link header (RFC 8288). */
function linkOf(answer: HttpAnswer): string | undefined {
  const header = (answer.header("link") ?? "").slice(0, 8_000);
  for (const part of header.split("<").slice(1)) {
    const end = part.indexOf(">");
    if (end > 0 && /;\s*rel\s*=\s*"?next"?/i.test(part.slice(end))) return part.slice(0, end);
  }
  return undefined;
}

/** An address as path and query below the base URL. @throws ConnectorFault `denied` for one that leads elsewhere. */
function below(address: string, answer: HttpAnswer, base_url: string): string {
  const base = new URL(base_url);
  const to = URL.parse(address, `${base_url.replace(/\/+$/, "")}/`);
  const root = base.pathname.replace(/\/+$/, "");
  if (to === null || to.origin !== base.origin || !(to.pathname === root || to.pathname.startsWith(`${root}/`))) {
    const told = to === null ? "is no address" : `leads to ${to.origin}${to.pathname}`;
    throw new ConnectorFault("denied", `${answer.request}: its next page ${told}, which is not below ${base_url}`);
  }
  return to.pathname.slice(root.length) + to.search;
}
