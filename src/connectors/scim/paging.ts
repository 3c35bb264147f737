/**
 * Reading a whole collection from servers that page in every wrong way: that ignore startIndex, wrap around at the end,
 * answer more or less than asked, count wrongly, or never stop. A list always ends, gives each account once, and says
 * `complete: false` unless it can vouch that it saw everything.
 *
 * A listing's cursor holds what is needed to go on after a restart; the ids already seen are kept in memory beside it,
 * and without them a repeated page is still known by its first id. Called by connector.ts and groups.ts.
 */
import { randomUUID } from "node:crypto";
import { field, isObject } from "../../core/scim/path.ts";
import { resourceId } from "../../core/scim/resource.ts";
import { ConnectorFault, type Context, type Page, type PageRequest } from "../connector.ts";
import type { HttpAnswer } from "../http.ts";
import type { Wire } from "./wire.ts";

/** Ids seen by the listings in progress of one connector. */
export type ListingMemory = Map<string, { page: number; ids: Set<string>; last: readonly string[] }>;
const listings_max = 8;

/** What the next page must know. `odd`: something was wrong already. `at`: an index, or the server's cursor. */
type Position = Readonly<{
  listing: string;
  page: number;
  at: number | string;
  first: string | null;
  total: number | null;
  seen: number;
  odd: boolean;
}>;

export type Listed = Readonly<{ resources: readonly unknown[]; total: number | undefined; next: string | undefined }>;

/** A ListResponse. Throws `denied` for anything else: what answers there is not a SCIM server. */
export function listResponse(answer: HttpAnswer): Listed {
  const resources = field(answer.json, "Resources");
  const total = Number(field(answer.json, "totalResults") ?? Number.NaN);
  const counted = Number.isInteger(total) && total >= 0;
  if (!isObject(answer.json) || !(Array.isArray(resources) || (counted && (resources ?? null) === null))) {
    const hint = "what answers at this address is not a SCIM 2.0 server; check the base URL";
    throw new ConnectorFault("denied", `${answer.request} answered ${answer.status} without a SCIM list: ${hint}`, {
      status: `${answer.status}`,
    });
  }
  const next = field(answer.json, "nextCursor");
  return {
    resources: Array.isArray(resources) ? resources : [],
    total: counted ? total : undefined,
    next: typeof next === "string" && next !== "" ? next : undefined,
  };
}

function startPosition(kind: "index" | "cursor" | "none"): Position {
  const at = kind === "cursor" ? "" : 1;
  return { listing: randomUUID(), page: 1, at, first: null, total: null, seen: 0, odd: false };
}

function encode(position: Position): string {
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}

function decode(cursor: string): Position {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    if (isObject(value) && typeof value["listing"] === "string" && typeof value["page"] === "number") {
      return value as unknown as Position;
    }
  } catch {
    // falls through to the same refusal
  }
  throw new ConnectorFault("invalid", "The list cursor is not one of this connector's; start the list again");
}

/** The ids seen before this page. Asking for the same page again, after a failure, forgets its first try. */
function seenBefore(memory: ListingMemory, position: Position): Set<string> {
  const known = memory.get(position.listing);
  if (known !== undefined && known.page === position.page) for (const id of known.last) known.ids.delete(id);
  const usable = known !== undefined && known.page <= position.page && known.page >= position.page - 1;
  const ids = usable ? known.ids : new Set(position.first === null ? [] : [position.first]);
  memory.delete(position.listing);
  if (memory.size >= listings_max) memory.delete(memory.keys().next().value!);
  return ids;
}

type Judged = Readonly<{ fresh: readonly unknown[]; ids: readonly string[]; odd: boolean; wrapped: boolean }>;

/** Sets apart what is new on a page. */
function judge(resources: readonly unknown[], seen: Set<string>, position: Position): Judged {
  const fresh: unknown[] = [];
  const ids: string[] = [];
  let odd = false;
  for (const resource of resources) {
    const id = resourceId(resource);
    if (id === undefined || seen.has(id)) {
      odd = true;
      continue;
    }
    seen.add(id);
    ids.push(id);
    fresh.push(resource);
  }
  const first = resourceId(resources[0]);
  const again = position.page > 1 && first !== undefined && first === position.first;
  return { fresh, ids, odd, wrapped: position.page > 1 && resources.length > 0 && (again || fresh.length === 0) };
}

/** Why the list is over, or null if there is more. */
function ending(
  listed: Listed,
  judged: Judged,
  position: Position,
  wire: Wire,
): "empty" | "total" | "odd" | "end" | null {
  const { kind, trust_total, pages_max } = wire.profile.paging;
  const seen = position.seen + judged.fresh.length;
  if (listed.resources.length === 0) return "empty";
  if (judged.wrapped) return "odd";
  if (kind === "none") return "end";
  if (kind === "cursor") {
    if (listed.next === undefined) return "end";
    return listed.next === position.at || position.page >= pages_max ? "odd" : null;
  }
  if (trust_total && listed.total !== undefined && seen >= listed.total) return "total";
  return position.page >= pages_max ? "odd" : null;
}

function vouched(end: string, listed: Listed, seen: number, odd: boolean, position: Position): boolean {
  const steady = position.total === null || listed.total === undefined || position.total === listed.total;
  const counted = listed.total !== undefined && listed.total === seen && steady;
  // A server that starts again from the front after its last page has shown everything by then.
  if (end === "odd") return counted && !position.odd;
  if (odd) return false;
  if (end === "total") return counted;
  // More may be claimed than was shown, never less: some servers count only up to their largest page.
  return listed.total === undefined || listed.total <= seen;
}

export type ListOptions<T> = Readonly<{
  path: "/Users" | "/Groups";
  query?: Readonly<Record<string, string | number>>;
  show: (resource: unknown) => T | null;
  memory: ListingMemory;
}>;

/** One page of a collection. See the head of the file for what it promises. */
export async function listPage<T>(
  wire: Wire,
  ctx: Context,
  request: PageRequest,
  options: ListOptions<T>,
): Promise<Page<T>> {
  const { kind, size } = wire.profile.paging;
  const position = request.cursor === undefined || request.cursor === "" ? startPosition(kind) : decode(request.cursor);
  const count = Math.max(1, Math.min(size, request.limit ?? size));
  const place: Record<string, string | number> = kind === "none" ? {} : { count };
  if (kind === "index") place["startIndex"] = position.at;
  if (kind === "cursor") place["cursor"] = position.at;
  const answer = await wire.call(ctx, { method: "GET", path: options.path, query: { ...options.query, ...place } });
  const listed = listResponse(answer);
  const seen_ids = seenBefore(options.memory, position);
  const judged = judge(listed.resources, seen_ids, position);
  const seen = position.seen + judged.fresh.length;
  const shown = judged.fresh.map(options.show);
  const items = shown.filter((item): item is Awaited<T> & NonNullable<T> => item !== null);
  const odd = position.odd || judged.odd || items.length < shown.length;
  const end = ending(listed, judged, position, wire);
  if (end !== null) return { items, complete: vouched(end, listed, seen, odd, position) };
  options.memory.set(position.listing, { page: position.page, ids: seen_ids, last: judged.ids });
  const at = kind === "cursor" ? listed.next! : Number(position.at) + listed.resources.length;
  const first = position.first ?? resourceId(listed.resources[0]) ?? null;
  const total = position.total ?? listed.total ?? null;
  const moved = total !== null && listed.total !== undefined && total !== listed.total;
  return { items, next: encode({ ...position, page: position.page + 1, at, first, total, seen, odd: odd || moved }) };
}

/**
 * All resources that a filter finds and `accept` confirms: servers ignore filters, or compare in their own way, so what
 * comes is checked here. Goes through as many pages as it takes.
 * Throws `unsupported` when nothing fits and the list cannot be vouched for: absence would be a guess.
 */
export async function searchAll<T>(
  wire: Wire,
  ctx: Context,
  options: Omit<ListOptions<T>, "memory"> & Readonly<{ accept: (item: T) => boolean }>,
): Promise<readonly T[]> {
  const memory: ListingMemory = new Map();
  const found: T[] = [];
  let cursor: string | undefined;
  for (;;) {
    const page = await listPage(wire, ctx, cursor === undefined ? {} : { cursor }, { ...options, memory });
    found.push(...page.items.filter(options.accept));
    const filtered = options.query?.["filter"] !== undefined;
    // A server that filters answers only what fits; then its first page is its answer.
    if (filtered && page.items.length > 0 && found.length === page.items.length) return found;
    if (page.next === undefined) {
      if (found.length === 0 && page.complete !== true) {
        const hint = "say in the app's SCIM profile which attributes it filters by and how it pages";
        throw new ConnectorFault("unsupported", `${wire.base_url}${options.path} cannot be searched reliably; ${hint}`);
      }
      return found;
    }
    cursor = page.next;
  }
}
