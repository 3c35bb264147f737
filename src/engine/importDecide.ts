/**
 * Deciding: for a chunk of rows that are new or differ, what each is to become. A row is mapped to a user profile; what
 * follows from that, from whom we know and from who matches is core/arrival.ts.
 *
 * `prepareChunk` does what does not hang on other chunks, `decideChunk` what does: between the two a chunk waits for those
 * under way that have one of its keys (importLanes.ts).
 */
import { type ArrivalDecision, type ArrivalVerdict, judgeArrival } from "../core/arrival.ts";
import type { Facts } from "../core/expression/expression.ts";
import { type CompiledLine, mapProfile } from "../core/mapping.ts";
import type { Outcome, Profile, Schema, UserStatus, Value } from "../core/types.ts";
import { uniqueAttributes } from "../directory/uniqueness.ts";
import { type Database, sql } from "../store/database.ts";
import type { ChangedRow } from "./importChanges.ts";
import { daysOf, mergedInto, type PersonDays, withEvery } from "./importDates.ts";
import { findDecisions } from "./importDecisions.ts";
import { findMatches, type Match, type Matching, matchKeys } from "./importMatch.ts";
import type { ImportPlan } from "./importPass.ts";
import type { LaterChange } from "./importTimes.ts";

type Known = Readonly<{
  id: string;
  status: UserStatus;
  profile: Profile;
  starts_at: Date | null;
  ends_at: Date | null;
}>;

/** A row with the user profile that it maps to, and those that it will map to. */
export type MappedRow = Readonly<{
  row: ChangedRow;
  profile: Profile;
  problems: readonly string[];
  dates: Outcome<Pick<PersonDays, "dates" | "preparations">>;
  later: readonly LaterChange[];
  user: Known | null;
  merged_into?: string;
}>;

/** A row, its profile as a user, and what is to become of it. `chosen`: a hook (importHook.ts) or a person has said so. */
export type DecidedRow = MappedRow & Readonly<{ verdict: ArrivalVerdict; chosen?: true }>;

/** Maps the rows of a chunk. Gives them with what no two rows at work at a time may share. */
export async function prepareChunk(
  plan: ImportPlan,
  rows: readonly ChangedRow[],
): Promise<Readonly<{ rows: readonly MappedRow[]; keys: ReadonlySet<string> }>> {
  const { run, schema } = plan;
  const known = await loadKnown(
    run.world.db,
    rows.flatMap((row) => row.user_id ?? []),
  );
  const mapped = rows.map((row): MappedRow => {
    const user = known.get(row.user_id ?? "") ?? null;
    const own = JSON.parse(row.profile) as Profile;
    const merged_into = mergedInto(run.sourcing, own);
    return { row, user, ...mapRow(plan, own, user), ...(merged_into === undefined ? {} : { merged_into }) };
  });
  return { rows: mapped, keys: keysOf(mapped, schema, run.sourcing.match_on) };
}

/** What a row, or several of one person, is as a user, now and later. */
export function mapRow(
  { run, lines }: ImportPlan,
  own: Profile,
  user: Known | null,
): Pick<MappedRow, "profile" | "problems" | "dates" | "later"> {
  const now = run.world.now();
  const map = (raw: Profile, every?: readonly Profile[]) => {
    const mapped = mapProfile(lines, factsOf(raw, user, now), user?.profile);
    return every === undefined ? mapped : { ...mapped, profile: withEvery(run.sourcing, mapped.profile, every) };
  };
  const days = daysOf(run.sourcing, own, now);
  if ("refused" in days) return { profile: map(own).profile, problems: [], dates: days, later: [] };
  const { profile, errors } = map(days.ok.profile, days.ok.every);
  const later = days.ok.later.map((one) => ({ ...one, mapped: map(one.profile, one.every) }));
  const problems = [...errors, ...later.flatMap(({ mapped }) => mapped.errors)].map(
    ({ attribute, message }) => `${attribute}: ${message}`,
  );
  const changes = later.map(({ at, period, mapped }): LaterChange => ({ at, period, profile: mapped.profile }));
  return { profile, problems, dates: { ok: corrected(days.ok, user, now) }, later: changes };
}

/** A first day that lay ahead and that the source has taken back: they work here already, and start now. */
function corrected(days: PersonDays, user: Known | null, now: Date): PersonDays {
  const waits = user?.status === "STAGED" && user.starts_at !== null && user.starts_at > now;
  return waits && days.dates.starts_at === null ? { ...days, dates: { ...days.dates, starts_at: now } } : days;
}

/** What the lines of a source read of a row. */
export function factsOf(own: Profile, user: Known | null, now: Date): Facts {
  return {
    user: user?.profile ?? {},
    user_id: user?.id ?? "",
    user_status: user?.status ?? "STAGED",
    groups: [],
    appuser: own,
    source: own,
    now,
    time_zone: "UTC",
  };
}

/** What the rows are matched by, and the values that only one user can have: of a million rows, rarely two the same. */
function keysOf(rows: readonly MappedRow[], schema: Schema, match_on: readonly string[]): ReadonlySet<string> {
  const keys = new Set<string>();
  const names = uniqueAttributes(schema).map(({ name }) => name);
  const by_match = match_on.length === 1 && names.includes(match_on[0] ?? "") ? [] : match_on;
  for (const { profile } of rows) {
    for (const name of names) {
      const text = textOf(profile[name]);
      if (text !== "") keys.add(`${name} ${text}`);
    }
    const match = by_match.length > 0 ? matchKeys(profile, by_match) : undefined;
    if (match !== undefined) keys.add(`match ${match.join("\0")}`);
  }
  return keys;
}

const textOf = (value: Value | undefined) =>
  typeof value === "string" || typeof value === "number" ? String(value).toLowerCase() : "";

/**
 * Decides the rows of a chunk. `taken`: people who have just been given a row of the chunk, with its id.
 *
 * With `hope`, where rows are matched by login alone, nobody is looked for: an insert will tell whose login is there
 * already, and only those rows are decided again. In a first import that is nobody, and a look-up each would cost 4
 * microseconds in PostgreSQL and 2 here.
 */
export async function decideChunk(
  db: Database,
  plan: ImportPlan,
  rows: readonly MappedRow[],
  options: Readonly<{ hope: boolean; taken?: ReadonlyMap<string, string> }>,
): Promise<readonly DecidedRow[]> {
  const { run, matching } = plan;
  const strangers = rows.flatMap(({ row, profile, user }, n) => (user === null && row.enabled ? [{ n, profile }] : []));
  const looked = strangers.length > 0 && !(options.hope && byLoginAlone(matching));
  const found = looked ? await findMatches(db, matching, strangers) : [];
  const matches = Map.groupBy(found, ({ n }) => n);
  // The first row that is linked to a person has them.
  const taken = new Map(options.taken);
  const decisions = plan.decisions
    ? await findDecisions(
        db,
        run.app_id,
        strangers.map(({ n }) => rows[n]?.row.external_id ?? ""),
      )
    : undecided;
  const now = run.world.now();
  return rows.map((mapped, n) => {
    const { row, problems, dates, user } = mapped;
    const who = (matches.get(n) ?? none).map((match) => ({
      user_id: match.user_id,
      row: match.row ?? taken.get(match.user_id) ?? null,
      former: match.former,
    }));
    const over = "ok" in dates && dates.ok.dates.ends_at != null && dates.ok.dates.ends_at <= now;
    const merged = mapped.merged_into === undefined ? {} : { merged_into: mapped.merged_into };
    const found = user === null ? decisions.get(row.external_id) : undefined;
    const last = found?.match ? (taken.get(found.match.user_id) ?? found.match.row) : null;
    const decision = found?.match ? { ...found, match: { ...found.match, row: last } } : found;
    const facts = { enabled: row.enabled, user, problems, dates, over, ...merged, matches: who };
    const verdict = judgeArrival({ ...facts, ...(decision === undefined ? {} : { decision }) }, run.sourcing);
    if (verdict.outcome === "link") taken.set(verdict.user_id, row.external_id);
    return { ...mapped, verdict, ...(decision === undefined ? {} : { chosen: true as const }) };
  });
}

const undecided: ReadonlyMap<string, ArrivalDecision> = new Map();
const none: readonly Match[] = [];

/** An insert alone shows whether somebody matches. */
export const byLoginAlone = ({ match_on }: Pick<Matching, "match_on">): boolean =>
  match_on.length === 1 && match_on[0] === "login";

async function loadKnown(db: Database, ids: readonly string[]): Promise<ReadonlyMap<string, Known>> {
  if (ids.length === 0) return new Map();
  const { rows } =
    await sql<Known>`select id, status, profile, starts_at, ends_at from users where id = any(${[...ids]}::text[])`.execute(
      db,
    );
  return new Map(rows.map((row) => [row.id, row]));
}

/** What decides about every row of an import. */
export type Lines = readonly CompiledLine<Facts>[];
