/**
 * When a person comes, is away, changes and goes as a source has it: midnight, or the hour the source's rules say, where
 * the person is. A date or zone that cannot be read is refused, because without it someone would start too early or
 * never end. What several rows of one person mean together is core/jobs.ts.
 *
 * Called when rows are decided, so that a dry run tells, and by the guard.
 */
import { dayBegins, dayEnds } from "../core/days.ts";
import { isZone } from "../core/expression/functions/zones.ts";
import { type Job, type Period, timeline, warnsAt } from "../core/jobs.ts";
import { setOwn } from "../core/profile.ts";
import type { Outcome, Profile, Value } from "../core/types.ts";
import { dateDefaults } from "../directory/provisioning.ts";
import type { NewUser } from "../directory/users.ts";
import type { DateSwitches } from "../store/appSwitches.ts";
import type { Sourcing } from "../store/tables.ts";

/** What is not sourced is absent; what the source leaves empty is null. */
export type PersonDates = Pick<NewUser, "starts_at" | "ends_at" | "time_zone">;

/** From when accounts are made, from when an end is told ahead, and an absence. */
export type Preparations = Readonly<{
  prepares_at: Date | null;
  warns_at: Date | null;
  absent_from: Date | null;
  absent_until: Date | null;
}>;

/**
 * One person's days. `profile`: the row that counts now, for the mapping; `every`: those of all jobs in force, where the
 * source's rules ask for them. `later`: rows that count from an instant on.
 * `preparations`: absent where the source's rules know of none.
 */
export type PersonDays = Readonly<{
  dates: PersonDates;
  profile: Profile;
  every?: readonly Profile[];
  later: readonly Readonly<{ at: Date; profile: Profile; every?: readonly Profile[]; period: Period }>[];
  preparations?: Preparations;
}>;

/** Under which name several rows of one person lie in the stage's profile of them. */
export const rows_key = "$rows";

/** What a row was merged into, if it says so. */
export function mergedInto(sourcing: Sourcing, own: Profile): string | undefined {
  return text(own, sourcing.merged_attribute ?? null);
}

type Row = Readonly<{ enabled: boolean; profile: Profile }>;

type Switches = Sourcing & DateSwitches;

/** All rules, whether or not the source was made before they were there. An import asks for each of a million rows. */
export function switchesOf(sourcing: Sourcing): Switches {
  let switches = switches_of.get(sourcing);
  if (switches === undefined) {
    switches = { ...dateDefaults, ...sourcing };
    switches_of.set(sourcing, switches);
  }
  return switches;
}

const switches_of = new WeakMap<Sourcing, Switches>();

/** The days of a person's rows. Refuses a day that is none and a zone that nobody knows, naming the attribute. */
export function daysOf(sourcing: Sourcing, own: Profile, now: Date): Outcome<PersonDays> {
  const switches = switchesOf(sourcing);
  const rows = switches.several_rows ? rowsOf(own) : undefined;
  if (rows === undefined && isPlain(switches)) return plainDays(sourcing, own);
  const profiles = activeRows(rows, own);
  const jobs: Job[] = [];
  for (const profile of profiles) {
    const job = jobOf(switches, profile);
    if ("refused" in job) return job;
    jobs.push(job.ok);
  }
  const every = hasEvery(switches);
  const { job: at, all, period, later } = timeline(jobs, { ...switches, every }, now);
  const those = (indices: readonly number[]) => (every ? { every: indices.map((n) => profiles[n] ?? own) } : {});
  const profile = profiles[at] ?? own;
  const absence = absenceOf(switches, profile);
  if ("refused" in absence) return absence;
  const zone = text(profile, switches.time_zone_attribute);
  const prepares_at = switches.hire_lead_days > 0 ? period.prepares_at : null;
  return {
    ok: {
      dates: {
        ...(zone === undefined ? {} : { time_zone: zone }),
        ...(switches.start_attribute === null ? {} : { starts_at: period.starts_at }),
        ...(endAttribute(switches) === null ? {} : { ends_at: period.ends_at }),
      },
      profile,
      ...those(all),
      later: later.map((one) => ({
        ...{ at: one.at, profile: profiles[one.job] ?? own, period: one.period },
        ...those(one.all),
      })),
      ...(prepares(switches)
        ? { preparations: { prepares_at, warns_at: warnsAt(period, switches.end_warning_days), ...absence.ok } }
        : {}),
    },
  };
}

/** Of several rows of one person the one that counts now; where their days cannot be read, what they have in common. */
export function countingRow(sourcing: Sourcing, own: Profile, now: Date): Profile {
  const days = daysOf(sourcing, own, now);
  const { [rows_key]: _, ...row } = "ok" in days ? days.ok.profile : own;
  return row;
}

/** Do the rules know of accounts made early, of absences, or of ends that are told ahead? */
export const prepares = (switches: Sourcing & DateSwitches): boolean =>
  switches.hire_lead_days > 0 || switches.absence_start_attribute !== null || switches.end_required_attribute !== null;

const hasEvery = ({ every_job }: DateSwitches): boolean => Object.keys(every_job).length > 0;

/** A profile with what the rows of all jobs in force say, each value once and in order. */
export function withEvery({ every_job = {} }: Sourcing, profile: Profile, rows: readonly Profile[]): Profile {
  const whole: Record<string, Value> = { ...profile };
  for (const [name, column] of Object.entries(every_job)) {
    const told = rows.flatMap((row) => (Object.hasOwn(row, column) ? (row[column] ?? []) : []));
    const texts = told.flatMap((one) =>
      typeof one === "string" || typeof one === "number" ? [String(one).trim()] : [],
    );
    const values = [...new Set(texts)].filter((one) => one !== "").sort();
    setOwn(whole, name, values.length === 0 ? null : values);
  }
  return whole;
}

const endAttribute = (switches: Sourcing & DateSwitches) => switches.end_attribute ?? switches.last_day_attribute;

/** Only first day, last day and zone, at midnight: as most sources are. */
const isPlain = (switches: Sourcing & DateSwitches) =>
  switches.start_hour === 0 &&
  switches.end_hour === 24 &&
  switches.leave_lead_days === 0 &&
  switches.last_day_attribute === null &&
  switches.urgent_attribute === null &&
  !hasEvery(switches) &&
  !prepares(switches);

/** Several rows of one person, if there are; those that the source calls inactive count only if all are. */
function rowsOf(own: Profile): readonly Row[] | undefined {
  const rows = Object.hasOwn(own, rows_key) ? own[rows_key] : undefined;
  return Array.isArray(rows) && rows.length > 0 && rows.every(isRow) ? (rows as unknown as readonly Row[]) : undefined;
}

const isRow = (row: unknown): boolean =>
  typeof row === "object" && row !== null && typeof (row as Row).profile === "object" && (row as Row).profile !== null;

function activeRows(rows: readonly Row[] | undefined, own: Profile): readonly Profile[] {
  if (rows === undefined) return [own];
  const active = rows.filter(({ enabled }) => enabled);
  return (active.length > 0 ? active : rows).map(({ profile }) => profile);
}

function text(row: Profile, name: string | null): string | undefined {
  const value = name === null || !Object.hasOwn(row, name) ? undefined : row[name];
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}

const yes: ReadonlySet<string> = new Set(["true", "yes", "1", "x", "y", "primary", "urgent"]);
const isYes = (row: Profile, name: string | null) => {
  const value: Value | undefined = name === null ? undefined : row[name];
  return value === true || (typeof value === "string" && yes.has(value.trim().toLowerCase()));
};

function jobOf(switches: Sourcing & DateSwitches, row: Profile): Outcome<Job> {
  const zone = text(row, switches.time_zone_attribute);
  if (zone !== undefined && !isZone(zone)) return noZone(switches.time_zone_attribute, zone);
  const days: (string | null)[] = [];
  for (const name of [switches.start_attribute, switches.end_attribute, switches.last_day_attribute]) {
    const day = text(row, name);
    if (day !== undefined && dayBegins(day, "UTC") === undefined) return noDay(name, day);
    days.push(day ?? null);
  }
  const [from = null, to = null, last_day = null] = days;
  if (from !== null && to !== null && to.slice(0, 10) < from.slice(0, 10)) {
    return { refused: `${switches.end_attribute}: ${to} is before ${from}`, code: "invalid" };
  }
  const renewable = mustEnd(switches, row);
  if (renewable && to === null && last_day === null) return noEnd(switches, row);
  const [primary, urgent] = [isYes(row, switches.primary_attribute), isYes(row, switches.urgent_attribute)];
  return { ok: { from, to, last_day, zone: zone ?? "UTC", primary, urgent, renewable } };
}

/** Is a last day compulsory for this row? */
function mustEnd({ end_required_attribute: name, end_required_values }: DateSwitches, row: Profile): boolean {
  if (name === null) return false;
  const value = cell(row, name).toLowerCase();
  return end_required_values.some((one) => one.trim().toLowerCase() === value);
}

/** An empty cell must not let someone in for ever: what is known of them stays, their last day too. */
function noEnd(switches: DateSwitches & Sourcing, row: Profile): Outcome<never> {
  const [name, value] = [switches.end_required_attribute ?? "", cell(row, switches.end_required_attribute ?? "")];
  const who = value === "" ? `without a ${name}` : `whose ${name} is "${value.slice(0, 100)}"`;
  const refused = `${endAttribute(switches)}: is empty, and whoever comes ${who} must have a last day: enter one; until then nothing of this person changes`;
  return { refused, code: "invalid" };
}

function cell(row: Profile, name: string): string {
  const value = Object.hasOwn(row, name) ? row[name] : undefined;
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value).trim()
    : "";
}

/** An absence from the morning of its first day to the end of its last; without a last day, until the source tells one. */
function absenceOf(
  switches: Sourcing & DateSwitches,
  row: Profile,
): Outcome<Pick<Preparations, "absent_from" | "absent_until">> {
  const zone = text(row, switches.time_zone_attribute) ?? "UTC";
  const [first, last] = [text(row, switches.absence_start_attribute), text(row, switches.absence_end_attribute)];
  if (first === undefined || switches.on_absence === "keep") return { ok: { absent_from: null, absent_until: null } };
  const [absent_from, absent_until] = [dayBegins(first, zone), last === undefined ? null : dayEnds(last, zone)];
  if (absent_from === undefined) return noDay(switches.absence_start_attribute, first);
  if (absent_until === undefined) return noDay(switches.absence_end_attribute, last);
  return { ok: { absent_from, absent_until } };
}

function plainDays(sourcing: Sourcing, own: Profile): Outcome<PersonDays> {
  const { start_attribute, end_attribute, time_zone_attribute } = sourcing;
  const zone = text(own, time_zone_attribute);
  if (zone !== undefined && !isZone(zone)) return noZone(time_zone_attribute, zone);
  const [first, last] = [text(own, start_attribute), text(own, end_attribute)];
  const starts_at = first === undefined ? null : remembered(begins, dayBegins, first, zone ?? "UTC");
  const ends_at = last === undefined ? null : remembered(ends, dayEnds, last, zone ?? "UTC");
  if (starts_at === undefined) return noDay(start_attribute, first);
  if (ends_at === undefined) return noDay(end_attribute, last);
  const dates = {
    ...(zone === undefined ? {} : { time_zone: zone }),
    ...(start_attribute === null ? {} : { starts_at }),
    ...(end_attribute === null ? {} : { ends_at }),
  };
  return { ok: { dates, profile: own, later: none } };
}

const none: PersonDays["later"] = [];

type Days = Map<string, Date | null>;
const [begins, ends]: [Days, Days] = [new Map(), new Map()];
const days_max = 20_000;

/** A million people share some thousand first days: a day costs 4 microseconds to work out and 0.1 to remember. */
function remembered(days: Days, of: typeof dayBegins, day: string, zone: string): Date | undefined {
  const key = zone === "UTC" ? day : `${zone} ${day}`;
  const known = days.get(key);
  if (known !== undefined) return known ?? undefined;
  if (days.size >= days_max) days.clear();
  const at = of(day, zone);
  days.set(key, at ?? null);
  return at;
}

const noDay = (attribute: string | null, value: string | undefined) =>
  invalid(attribute, value, "no day; use the form 2026-03-01");
const noZone = (attribute: string | null, value: string) =>
  invalid(attribute, value, "no time zone; use a name such as Europe/Rome");

function invalid(attribute: string | null, value: string | undefined, why: string): Outcome<never> {
  return { refused: `${attribute}: "${String(value).slice(0, 100)}" is ${why}`, code: "invalid" };
}
