/**
 * The fake app's pages: an index into its rows, as most apps have it, with the two ways of going wrong that a list can
 * show (the same page for ever, the first page again). Called by fake/connector.ts and fake/groups.ts.
 */
import type { ExternalId, Page, PageRequest } from "../connector.ts";
import type { Shelf } from "./app.ts";
import type { ReadMode } from "./faults.ts";

const page_default = 100;

/** index of the next row : rows there were at the start : number of changes at the start : was a page repeated */
function parseCursor(cursor: string | undefined, fresh: readonly [number, number]): [number, number, number, number] {
  const parts = (cursor ?? "").split(":").map(Number);
  return [parts[0] ?? 0, parts[1] ?? fresh[0], parts[2] ?? fresh[1], parts[3] ?? 0];
}

/** What changed after the token `since`. */
function changesSince<T, R>(shelf: Shelf<T>, since: string, show: (id: string, row: T) => R): Page<R> {
  const items: R[] = [];
  const gone: ExternalId[] = [];
  for (const [id, change] of shelf.changes) {
    if (change.seq <= Number(since)) continue;
    const row = shelf.rows.get(id);
    if (row === undefined) gone.push(id);
    else items.push(show(id, row));
  }
  return { items, gone, since: `${shelf.seq()}`, complete: true };
}

/** One page of a shelf. `complete: false` if rows came or went since the first page, or if a page was repeated. */
export function fakePage<T, R>(
  shelf: Shelf<T>,
  request: PageRequest,
  mode: ReadMode,
  show: (id: string, row: T) => R,
  tokens: boolean,
): Page<R> {
  if (tokens && request.since !== undefined) return changesSince(shelf, request.since, show);
  const rows = [...(mode.stale ? shelf.lagging() : shelf.rows)];
  const limit = request.limit ?? page_default;
  const empty = request.cursor === undefined || request.cursor === "";
  const [start, count, seq, repeated] = parseCursor(empty ? undefined : request.cursor, [rows.length, shelf.seq()]);
  const from = empty ? 0 : start;
  const slice = mode.duplicate ? rows.slice(0, limit) : rows.slice(from, from + limit);
  const items = slice.map(([id, row]) => show(id, row));
  const odd = repeated === 1 || mode.duplicate || mode.looping ? 1 : 0;
  if (mode.looping) return { items, next: `${from}:${count}:${seq}:${odd}` };
  const end = from + limit;
  if (end < rows.length) return { items, next: `${end}:${count}:${seq}:${odd}` };
  const complete = odd === 0 && !mode.stale && rows.length === count;
  return { items, complete, ...(tokens ? { since: `${seq}` } : {}) };
}
