/**
 * A notification of a source: where in its body the ids of people are. A place is a JSON pointer (RFC 6901), such as
 * `/worker/id`, in which a part that is `*` stands for every item of a list.
 *
 * Law: a body costs what its length costs, and gives at most so many ids, each of bounded length.
 */

/** What a place looks like, and how people are told. */
export const notice_place = /^(\/([^~/]|~[01])*)+$/;
export const notice_place_words = 'a JSON pointer, in which * is every item of a list, such as "/events/*/worker/id"';
export const notice_place_max = 500;

/** As long as an id in a source may be. */
export const notice_id_max = 512;
/** Ids of one body. */
export const notice_ids_max = 10_000;

/** Where ids are when nobody says otherwise. */
const standard_places = ["/ids", "/id"];

/** The ids in a body, each once; or what is wrong with it, as people read it. */
export function idsOf(body: unknown, place: string | null): Readonly<{ ids: readonly string[] } | { wrong: string }> {
  const found = (place === null ? standard_places : [place]).flatMap((one) => valuesAt(body, partsOf(one)));
  const ids = new Set<string>();
  for (const value of found.flat()) {
    const id = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
    if (typeof id !== "string" || id === "" || id.length > notice_id_max || id.includes("\0") || !id.isWellFormed()) {
      return { wrong: `an id must be a text of 1 to ${notice_id_max} characters, or a whole number` };
    }
    ids.add(id);
    if (ids.size > notice_ids_max) return { wrong: `it has more than ${notice_ids_max} ids: send them in parts` };
  }
  if (ids.size > 0) return { ids: [...ids] };
  return { wrong: place === null ? 'there are no ids in it: send {"ids": ["17"]}' : `there is nothing at ${place}` };
}

const partsOf = (place: string): readonly string[] =>
  place
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));

/** What is at a place; a list there is not taken apart. */
function valuesAt(body: unknown, parts: readonly string[]): readonly unknown[] {
  let at: unknown[] = [body];
  for (const part of parts) {
    const next: unknown[] = [];
    for (const value of at) {
      if (Array.isArray(value)) {
        if (part === "*") for (const one of value) next.push(one);
        else if (/^d{1,9}$/.test(part) && Number(part) < value.length) next.push(value[Number(part)]);
      } else if (typeof value === "object" && value !== null && Object.hasOwn(value, part)) {
        next.push((value as Record<string, unknown>)[part]);
      }
    }
    at = next;
  }
  return at;
}
