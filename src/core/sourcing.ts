/**
 * Where each attribute of a person comes from: which source wins, and who lost (okta-lifecycle 4.2, 4.3).
 *
 * Rules. The profile source is the first of the person's sources; an attribute inherits from it, stays ours, or has an
 * order of sources of its own. What the deciding source does not map stays as it is. Okta never looks further than the
 * first assigned source of an order, even if that has no value; here it is a choice per attribute.
 *
 * Laws (tested): pure; the same facts give the same answer, and applying the changes leaves nothing to change; every
 * source that offers a value either wins or is listed among the losers with the reason; sources never reach an
 * attribute that is ours.
 *
 * Called by engine/import.ts and directory/users.ts; the console shows the provenance.
 */
import { isEmpty, sameValue } from "./diff.ts";
import type { Profile, Schema, Value } from "./types.ts";

/** One of the person's assigned sources. `values`: what its mapping gives; absent is unmapped, null is mapped but empty. */
export type SourceValues = Readonly<{ app_id: string; values: Profile }>;

/**
 * How an attribute is sourced. `inherit`: from the profile source. `okta`: from nobody, it is edited here.
 * `override`: by an order of app ids; `fall_through` says how far down it goes:
 * - `first_non_empty`: the first assigned source that has a value (none has: no value);
 * - `first_assigned`: the first assigned source, value or not (Okta's behaviour);
 * - `named`: the first of the order and no other; not assigned: stays as it is.
 */
export type AttributeSourcing =
  | Readonly<{ mode: "inherit" }>
  | Readonly<{ mode: "okta" }>
  | Readonly<{
      mode: "override";
      order: readonly string[];
      fall_through: "first_non_empty" | "first_assigned" | "named";
    }>;

/** Why a source that offered a value did not win. */
export type LossReason = "edited_here" | "lower_priority" | "empty" | "not_in_order";

export type Loser = Readonly<{ source: string; value: Value; why: LossReason }>;

/** `source`: the app it comes from, and only from there may it be changed; null: it is ours and may be edited. */
export type Provenance = Readonly<{ source: string | null; value: Value; losers: readonly Loser[] }>;

/** `changes`: a partial profile, null clears. `provenance`: of every attribute of the schema that has one or a source. */
export type Sourced = Readonly<{ changes: Profile; provenance: Readonly<Record<string, Provenance>> }>;

/**
 * Decides every attribute of the schema for one person.
 *
 * @param current the profile as it is
 * @param sources the person's assigned sources, highest priority first
 * @param sourcing attribute name → how it is sourced; absent is `inherit`
 */
export function sourceProfile(
  schema: Schema,
  current: Profile,
  sources: readonly SourceValues[],
  sourcing: ReadonlyMap<string, AttributeSourcing> = new Map(),
): Sourced {
  const changes: [string, Value][] = [];
  const provenance: [string, Provenance][] = [];
  for (const { name } of schema.attributes) {
    const rule = sourcing.get(name) ?? inherit;
    const before = own(current, name) ?? null;
    const winner = winnerOf(name, rule, sources);
    const value = winner === undefined ? before : offered(winner, name);
    const losers = losersOf(name, rule, sources, winner);
    if (!sameValue(before, value)) changes.push([name, value]);
    if (winner !== undefined || value !== null || losers.length > 0) {
      provenance.push([name, { source: winner?.app_id ?? null, value, losers }]);
    }
  }
  return { changes: Object.fromEntries(changes), provenance: Object.fromEntries(provenance) };
}

/** The person's profile source, the only one that may deactivate, suspend or reactivate them; undefined: nobody. */
export function profileSource(sources: readonly SourceValues[]): string | undefined {
  return sources[0]?.app_id;
}

const inherit: AttributeSourcing = { mode: "inherit" };

/** The source that decides the attribute; undefined: none does, it stays as it is. */
function winnerOf(name: string, rule: AttributeSourcing, sources: readonly SourceValues[]): SourceValues | undefined {
  if (rule.mode === "okta") return undefined;
  if (rule.mode === "inherit") {
    const [first] = sources;
    return first !== undefined && maps(first, name) ? first : undefined;
  }
  const assigned = rule.order.flatMap((app_id) => sources.find((source) => source.app_id === app_id) ?? []);
  switch (rule.fall_through) {
    case "first_assigned":
      return assigned[0];
    case "named":
      return assigned.find((source) => source.app_id === rule.order[0]);
    case "first_non_empty":
      return assigned.find((source) => offered(source, name) !== null) ?? assigned.find((one) => maps(one, name));
  }
}

function losersOf(
  name: string,
  rule: AttributeSourcing,
  sources: readonly SourceValues[],
  winner: SourceValues | undefined,
): readonly Loser[] {
  return sources
    .filter((source) => source !== winner && maps(source, name))
    .map((source) => ({
      source: source.app_id,
      value: offered(source, name),
      why: lossReason(name, rule, source, winner),
    }));
}

function lossReason(
  name: string,
  rule: AttributeSourcing,
  source: SourceValues,
  winner: SourceValues | undefined,
): LossReason {
  if (rule.mode === "okta") return "edited_here";
  if (rule.mode === "inherit") return "lower_priority";
  const rank = rule.fall_through === "named" ? rule.order.slice(0, 1) : rule.order;
  if (!rank.includes(source.app_id)) return "not_in_order";
  const above = winner === undefined || rank.indexOf(source.app_id) < rank.indexOf(winner.app_id);
  return above && offered(source, name) === null ? "empty" : "lower_priority";
}

function maps(source: SourceValues, name: string): boolean {
  return own(source.values, name) !== undefined;
}

/** The value a source offers; null if it is empty or unmapped. */
function offered(source: SourceValues, name: string): Value {
  const value = own(source.values, name) ?? null;
  return isEmpty(value) ? null : value;
}

function own(profile: Profile, name: string): Value | undefined {
  return Object.hasOwn(profile, name) ? profile[name] : undefined;
}
