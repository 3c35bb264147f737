/**
 * Pages in Okta's way: `limit` and an opaque `after`, and one `Link` header line per link, `self` always and `next`
 * while there is more. Clients follow the next link as it is, so it carries every other parameter of the request.
 *
 * Law: a page with a next link is never empty (Okta's own Node client stops at the first empty page), save for polling
 * the log. Lists ask for one row more than the page, and give a next link only when that row is there.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { ApiError } from "./errors.ts";

/** A page's size: `standard` when none is asked for; more than `max` is `max`, as Okta does it. */
export function limitOf(standard: number, max: number) {
  return z.coerce
    .number()
    .int()
    .min(1)
    .default(standard)
    .transform((limit) => Math.min(limit, max))
    .describe(`Items on a page; at most ${max}`);
}

export const afterOf = z.string().max(500).optional().describe("Where to go on: from the next link of the page before");

/** Parts of a cursor made by `cursor`. @throws ApiError 400 E0000031 (search) when it is not one of ours. */
export function readCursor(after: string | undefined): readonly unknown[] | undefined {
  if (after === undefined) return undefined;
  try {
    const parts: unknown = JSON.parse(Buffer.from(after, "base64url").toString());
    if (Array.isArray(parts)) return parts;
  } catch {
    // Not ours: refused below.
  }
  throw badCursor(after);
}

/** An opaque cursor. */
export function cursor(...parts: readonly (string | number | null)[]): string {
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

/** Whether a text is an id of this kind. */
export const isId = (prefix: string, text: string): boolean =>
  text.startsWith(prefix) && /^[0-9A-Za-z]{20}$/.test(text);

/** A cursor that is the id of the last thing seen. @throws ApiError 400 E0000029 when it is none with this prefix. */
export function idCursor(after: string | undefined, prefix: string): string | undefined {
  if (after === undefined || isId(prefix, after)) return after;
  throw badCursor(after);
}

/** 400: this is no cursor of that list. */
export function badCursor(after: string): ApiError {
  return new ApiError(400, "E0000029", "Invalid paging request", [
    `Invalid cursor: ${after.slice(0, 60)}; start again from the first page`,
  ]);
}

/**
 * Cuts a list that was read with one row more than `limit`, and sets the links. `after` gives the cursor behind an item.
 */
export function page<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  rows: readonly T[],
  limit: number,
  after: (last: T) => string,
): readonly T[] {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  setLinks(request, reply, rows.length > limit && last !== undefined ? after(last) : undefined);
  return items;
}

/** Sets the self link, and a next link when there is more behind `next`. */
export function setLinks(request: FastifyRequest, reply: FastifyReply, next: string | undefined): void {
  const at = request.url.indexOf("?");
  const path = at < 0 ? request.url : request.url.slice(0, at);
  const given = new URLSearchParams(at < 0 ? "" : request.url.slice(at + 1));
  const url = (query: URLSearchParams) => `${request.base_url}${path}${query.size === 0 ? "" : `?${query}`}`;
  const links = [`<${url(given)}>; rel="self"`];
  if (next !== undefined) {
    const query = new URLSearchParams({ after: next });
    for (const [name, value] of given) if (name !== "after") query.append(name, value);
    links.push(`<${url(query)}>; rel="next"`);
  }
  reply.header("link", links);
}
