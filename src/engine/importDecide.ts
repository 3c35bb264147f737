/**
 * Deciding: for a chunk of rows that are new or differ, what each is to become. A row is mapped to a user profile; what
 * follows from that, from whom we know and from who matches is core/arrival.ts.
 *
 * `prepareChunk` does what does not hang on other chunks, `decideChunk` what does: between the two a chunk waits for those
 * under way that have one of its keys (importLanes.ts).
 */
import {
  type Arrival,
  type ArrivalDecision,
  type ArrivalLikeness,
  type ArrivalVerdict,
  judgeArrival,
} from "../core/arrival.ts";
import type { Facts } from "../core/expression/expression.ts";
import { type CompiledLine, mapProfile } from "../core/mapping.ts";
import type { Combination } from "../core/match.ts";
import type { Outcome, Profile, Schema, UserStatus, Value } from "../core/types.ts";
import { uniqueAttributes } from "../directory/uniqueness.ts";
import { type Database, sql } from "../store/database.ts";
import { addRival, findAlike, type Rivals, rivalOf } from "./importAlike.ts";
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
  return { rows: mapped, keys: keysOf(mapped, schema, plan.matching.combinations) };
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
function keysOf(rows: readonly MappedRow[], schema: Schema, combinations: readonly Combination[]): ReadonlySet<string> {
  const keys = new Set<string>();
  const unique = uniqueAttributes(schema).map(({ name }) => name);
  const others = [...combinations.entries()].filter(
    ([, names]) => names.length > 1 || !unique.includes(names[0] ?? ""),
  );
  for (const { profile } of rows) {
    for (const name of unique) {
      const text = textOf(profile[name]);
      if (text !== "") keys.add(`${name} ${text}`);
    }
    for (const [place, names] of others) {
      const match = matchKeys(profile, names);
      if (match !== undefined) keys.add(`match ${place} ${match.join("\0")}`);
    }
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
 *
 * Rows that are only alike to somebody are judged last, for a row of the chunk that matches the same person has them.
 */
export async function decideChunk(
  db: Database,
  plan: ImportPlan,
  rows: readonly MappedRow[],
  options: Readonly<{ hope: boolean; taken?: ReadonlyMap<string, string> }>,
): Promise<readonly DecidedRow[]> {
  const { run, rivals } = plan;
  const arrivals = await arrivalsOf(db, plan, rows, options.hope);
  // While rows are still to come nobody is linked who is only alike.
  const auto_confirm_partial = rivals.settled && run.sourcing.auto_confirm_partial === true;
  // The first row that is linked to a person has them.
  const taken = new Map(options.taken);
  const judge = ({ mapped, arrival }: Judged): DecidedRow => {
    const verdict = judgeArrival(withTaken(arrival, taken), { ...run.sourcing, auto_confirm_partial });
    if (verdict.outcome === "link") taken.set(verdict.user_id, mapped.row.external_id);
    return { ...mapped, verdict, ...(arrival.decision === undefined ? {} : { chosen: true as const }) };
  };
  const first = arrivals.map((one) => (one.arrival.alike === undefined ? judge(one) : one));
  for (const { mapped, arrival } of arrivals) {
    const verdict = arrival.alike && judgeArrival(withTaken(arrival, taken), run.sourcing);
    if (verdict === undefined || !("alike" in verdict)) continue;
    for (const { user_id } of arrival.alike?.fits ?? []) addRival(rivals, user_id, mapped.row.external_id);
  }
  return first.map((one) => ("verdict" in one ? one : judge(withRivals(one, rivals))));
}

type Judged = Readonly<{ mapped: MappedRow; arrival: Arrival }>;

/** What is known of each row of a chunk before it is judged: whom it matches or is alike to, and what people decided. */
async function arrivalsOf(
  db: Database,
  { run, matching, decisions }: ImportPlan,
  rows: readonly MappedRow[],
  hope: boolean,
): Promise<readonly Judged[]> {
  const strangers = rows.flatMap(({ row, profile, user }, n) => (user === null && row.enabled ? [{ n, profile }] : []));
  const looked = strangers.length > 0 && !(hope && byLoginAlone(matching));
  const matches = Map.groupBy(looked ? await findMatches(db, matching, strangers) : [], ({ n }) => n);
  const idOf = (n: number) => rows[n]?.row.external_id ?? "";
  const decided = decisions
    ? await findDecisions(
        db,
        run.app_id,
        strangers.map(({ n }) => idOf(n)),
      )
    : undecided;
  const unmatched = strangers.filter(({ n }) => !matches.has(n) && !decided.has(idOf(n)));
  const alike = matching.partial === null ? nobody : await findAlike(db, matching, matching.partial, unmatched);
  const now = run.world.now();
  return rows.map((mapped, n) => {
    const { row, problems, dates, user, merged_into } = mapped;
    const who = (matches.get(n) ?? none).map(({ by, ...match }) => ({
      ...{ user_id: match.user_id, row: match.row, former: match.former },
      by: by.map((place) => matching.combinations[place] ?? []),
    }));
    const over = "ok" in dates && dates.ok.dates.ends_at != null && dates.ok.dates.ends_at <= now;
    const [likeness, decision] = [alike.get(n), user === null ? decided.get(row.external_id) : undefined];
    const arrival: Arrival = {
      ...{ enabled: row.enabled, user, problems, dates, over, matches: who },
      ...(merged_into === undefined ? {} : { merged_into }),
      ...(likeness === undefined ? {} : { alike: likeness }),
      ...(decision === undefined ? {} : { decision }),
    };
    return { mapped, arrival };
  });
}

/** The people whom rows were given meanwhile come from these. */
function withTaken(arrival: Arrival, taken: ReadonlyMap<string, string>): Arrival {
  if (taken.size === 0) return arrival;
  const { matches, decision, alike } = arrival;
  const match = decision?.match;
  const row = match && (taken.get(match.user_id) ?? match.row);
  return {
    ...arrival,
    matches: matches.map((one) => ({ ...one, row: one.row ?? taken.get(one.user_id) ?? null })),
    ...(alike ? { alike: { ...alike, fits: alike.fits.filter(({ user_id }) => !taken.has(user_id)) } } : {}),
    ...(decision && match ? { decision: { ...decision, match: { ...match, row: row ?? null } } } : {}),
  };
}

/** The row with the reason why a person must say whether it is who it is alike to, if another row is, too. */
function withRivals({ mapped, arrival }: Judged, rivals: Rivals): Judged {
  const { alike } = arrival;
  const [best] = alike?.fits ?? [];
  const unsure = best && rivalOf(rivals, best.user_id, mapped.row.external_id);
  if (alike === undefined || unsure === undefined) return { mapped, arrival };
  return { mapped, arrival: { ...arrival, alike: { ...alike, unsure } } };
}

const undecided: ReadonlyMap<string, ArrivalDecision> = new Map();
const none: readonly Match[] = [];
const nobody: ReadonlyMap<number, ArrivalLikeness> = new Map();

/** An insert alone shows whether somebody matches. */
export const byLoginAlone = ({ combinations: [names, ...others], partial }: Matching): boolean =>
  others.length === 0 && names?.length === 1 && names[0] === "login" && partial === null;

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
