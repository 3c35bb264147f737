/**
 * Searches for many accounts in one request: a filter that joins them by `or` (RFC 7644 3.4.2.2), where the server says it
 * filters. That somebody is not there decides whether an account is created, and servers that know only `eq` answer such a
 * filter in every wrong way: with an error, with nothing, with what its first or its last part finds. So each search
 * carries its own proof: two accounts that are known to be there stand at its ends, and only an answer that has both is
 * believed. Any other is asked for again, one account at a time.
 *
 * Called by connector.ts for look.ts.
 */
import { packs } from "../../core/packs.ts";
import type { Attribute } from "../../core/types.ts";
import { ConnectorFault, type Context, type RemoteAccount } from "../connector.ts";
import { gather } from "../gather.ts";
import type { OffersReader } from "./offers.ts";
import { listResponse } from "./paging.ts";
import type { ScimProfile } from "./profile.ts";
import type { Placed } from "./schema.ts";
import type { Wire } from "./wire.ts";

/** `value`: of the attribute placed `at`. */
export type Search = Readonly<{ at: Placed; value: string }>;

/** `find`: the accounts that hold a value. `noticed`: an account that is there, told by whoever made or saw it. */
export type Searches = Readonly<{
  find(ctx: Context, search: Search): Promise<readonly RemoteAccount[]>;
  noticed(account: RemoteAccount): void;
}>;

/** `alone`: searches for one. `show`: a resource in our words. */
export type SearchTools = Readonly<{
  wire: Wire;
  offers: OffersReader;
  alone(ctx: Context, search: Search): Promise<readonly RemoteAccount[]>;
  show(resource: unknown): RemoteAccount | null;
}>;

/** Values of one search: its address stays below the 8 kB that servers take, quoted as it is there. */
const values_max = 50;
const filter_chars_max = 5_000;
/** ` eq "" or ` */
const filter_words = 10;
/** Two prove a search: one before all values, and one behind them. */
const known_max = 2;
/** Ways in which one value is asked for. */
const spellings_max = 2;
/** A server that failed the proof so often in a row is not asked so again. */
const failures_max = 3;

type Witness = Readonly<{ id: string; value: string }>;
type Found = PromiseSettledResult<readonly RemoteAccount[]>;

/** A value as the attribute compares it. */
export const folded = (attribute: Attribute, text: string): string =>
  attribute.case_exact ? text.normalize("NFC") : text.normalize("NFC").toLowerCase();

/** Does an account hold a value? Servers ignore filters, fold capitals, or compare with another attribute. */
export function holds(account: RemoteAccount, { attribute }: Placed, value: string): boolean {
  const held = account.profile[attribute.name];
  const values = Array.isArray(held) ? held : [held];
  return values.some((one) => typeof one === "string" && folded(attribute, one) === folded(attribute, value));
}

/** Makes the searches of one server. */
export function searches(tools: SearchTools): Searches {
  const { wire, offers, alone } = tools;
  /** By attribute searched for: accounts that were there when they were last heard of. */
  const witnesses = new Map<string, readonly Witness[]>();
  let failures = 0;
  const each = (ctx: Context, some: readonly Search[]): Promise<Found[]> =>
    Promise.allSettled(some.map((one) => alone(ctx, one)));

  const searchAll = async (ctx: Context, at: Placed, some: readonly Search[]): Promise<Found[]> => {
    const known = witnesses.get(at.attribute.name) ?? [];
    if (some.length === 1 || known.length < known_max) return each(ctx, some);
    const found = await believed(tools, ctx, at, known, some);
    if (found === undefined) {
      failures++;
      witnesses.set(at.attribute.name, []);
      return each(ctx, some);
    }
    failures = 0;
    return some.map(({ value }) => ({
      status: "fulfilled",
      value: found.filter((account) => holds(account, at, value)),
    }));
  };

  const find = gather<Search, readonly RemoteAccount[]>({
    most: () => (failures < failures_max && offers.known()?.search_max !== 0 ? values_max : 1),
    alone,
    together: async (ctx, some) => {
      for (const { at } of some) if (!witnesses.has(at.attribute.name)) witnesses.set(at.attribute.name, []);
      const { search_max } = await offers.read(ctx);
      const [first] = some;
      const alike = some.every(({ at }) => at.attribute.name === first?.at.attribute.name);
      const plain = some.every((one) => plainFilter(wire.profile, one) !== undefined);
      if (first === undefined || !alike || !plain || search_max === 0) return each(ctx, some);
      const asked = packs(some, {
        ...{ most: (search_max - known_max) / spellings_max, size_max: filter_chars_max },
        size: ({ at, value }) => (at.path.text.length + value.length + filter_words) * spellings_max,
      });
      return (await Promise.all([...asked].map((part) => searchAll(ctx, first.at, part)))).flat();
    },
  });
  return {
    find,
    noticed: (account) => {
      for (const [name, known] of witnesses) {
        const value = account.profile[name];
        if (known.length >= known_max || typeof value !== "string" || known.some(({ id }) => id === account.id))
          continue;
        if (JSON.stringify(value) === `"${value}"`) witnesses.set(name, [...known, { id: account.id, value }]);
      }
    },
  };
}

/** `path eq "value"`; undefined where servers differ in how they read it: values with quotes, paths with brackets. */
function plainFilter(profile: ScimProfile, { at, value }: Search): string | undefined {
  const { filterable, filters } = profile.user;
  const { name } = at.attribute;
  const path = filters[name] ?? at.path.text;
  const literal = JSON.stringify(value);
  const known = filterable.includes("*") || filterable.includes(name);
  return known && !path.includes("[") && literal === `"${value}"` ? `${path} eq ${literal}` : undefined;
}

/** What was found; undefined where the answer is not proved to be about everyone, or there is none. */
async function believed(
  { wire, show }: SearchTools,
  ctx: Context,
  at: Placed,
  known: readonly Witness[],
  some: readonly Search[],
): Promise<readonly RemoteAccount[] | undefined> {
  const values = new Set(some.flatMap(({ value }) => spellings(at.attribute, value)));
  const [first, last] = known;
  const asked = [first?.value, ...values, last?.value].flatMap((value) =>
    value === undefined ? [] : (plainFilter(wire.profile, { at, value }) ?? []),
  );
  const filter = asked.join(" or ");
  const place: Record<string, number> =
    wire.profile.paging.kind === "index" ? { startIndex: 1, count: asked.length } : {};
  try {
    const answer = await wire.call(ctx, { method: "GET", path: "/Users", query: { filter, ...place } });
    const { resources, total, next } = listResponse(answer);
    const accounts = resources.flatMap((one) => show(one) ?? []);
    const whole = next === undefined && (total ?? 0) <= resources.length && accounts.length === resources.length;
    const proved = known.every(({ id }) => accounts.some((account) => account.id === id));
    return whole && proved ? accounts : undefined;
  } catch (fault) {
    // Many servers answer what they do not know with an error of any kind: one account at a time tells what it is.
    if (!(fault instanceof ConnectorFault) || fault.kind === "rate_limited") throw fault;
    return undefined;
  }
}

/** As it is, and lower case where the attribute minds no case: some servers' filters do, and store one of the two. */
function spellings(attribute: Attribute, value: string): readonly string[] {
  const lower = value.toLowerCase();
  return attribute.case_exact || lower === value ? [value] : [value, lower];
}
