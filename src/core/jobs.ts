/**
 * A person's jobs as a source tells them: one row, or several with days of their own (a change that lies ahead, a
 * conversion, a second job, a return). Which of them counts now, when the person comes and goes, and what changes when.
 *
 * Laws (tested): pure; the order of the rows does not matter; a job that begins the day after another ended, wherever
 * each is, leaves no gap; a later change is given with the instant at which it is due, so that nothing has to be read
 * again on that day; nobody ends before a last working day that the source tells, unless it is urgent.
 *
 * Called by engine/importDates.ts.
 */
import { dayBegins, dayEnds } from "./days.ts";
import { parseInstant } from "./instant.ts";

const day_ms = 86_400_000;
const hour_ms = 3_600_000;

/** How a source's days are read. Hours are the clock of the person's zone: a first day begins, a last day ends at one. */
export type DayRules = Readonly<{
  start_hour: number;
  end_hour: number;
  hire_lead_days: number;
  change_lead_days: number;
  leave_lead_days: number;
  /** All jobs in force count for something, so their coming and going is told ahead, not that of the one that counts alone. */
  every?: boolean;
}>;

/** A row. Days are ISO texts that were judged before; `to` is the last day, `last_day` the last working day. */
export type Job = Readonly<{
  from: string | null;
  to: string | null;
  last_day: string | null;
  zone: string;
  /** Of several jobs at once it is the one that counts. */
  primary: boolean;
  urgent: boolean;
  /** Its end is for somebody to renew or to let come, as a contractor's is. */
  renewable: boolean;
}>;

/**
 * A time of employment without a gap. `prepares_at`: from when accounts may be made, switched off. `renewable`: it ends
 * with a job whose end is.
 */
export type Period = Readonly<{
  starts_at: Date | null;
  ends_at: Date | null;
  prepares_at: Date | null;
  renewable: boolean;
}>;

/** What holds from an instant on: the job that counts (an index), all that are in force, and the time of employment. */
type State = Readonly<{ job: number; all: readonly number[]; period: Period }>;

export type LaterJob = State & Readonly<{ at: Date }>;

export type Timeline = State & Readonly<{ later: readonly LaterJob[] }>;

/** Later changes of one person that are kept; whoever plans more is told the rest as they come nearer. */
const later_max = 100;

/** What jobs mean at an instant. `jobs` must not be empty. */
export function timeline(jobs: readonly Job[], rules: DayRules, now: Date): Timeline {
  const spans = jobs.map((job) => spanOf(job, rules, now));
  const periods = periodsOf(jobs, spans, rules, now);
  const stateAt = (at: number): State => {
    const job = jobAt(jobs, spans, at);
    return { job, all: rules.every ? inForceAt(spans, at, job) : [job], period: periodAt(periods, at) };
  };
  const instants = [
    ...spans.flatMap(({ takes, ends, leaves }) => [takes, ends, rules.every ? leaves : null]),
    ...periods.map(({ ends_at }) => time(ends_at)),
  ];
  const ahead = [...new Set(instants)].filter((at): at is number => at !== null && at > now.getTime());
  const first = stateAt(now.getTime());
  const later: LaterJob[] = [];
  let last = first;
  for (const at of ahead.sort((a, b) => a - b)) {
    const state = stateAt(at);
    const same = state.job === last.job && state.period === last.period && state.all.join() === last.all.join();
    if (!same) later.push({ at: new Date(at), ...state });
    last = state;
  }
  return { ...first, later: later.slice(0, later_max) };
}

/** From when somebody is told that an end comes, so many days before it, but not before the first day; null: never. */
export function warnsAt({ starts_at, ends_at, renewable }: Period, days: number): Date | null {
  if (!renewable || ends_at === null || days === 0) return null;
  // Days of 24 hours: an hour more or less where clocks are changed in between is no matter.
  return new Date(Math.max(ends_at.getTime() - days * day_ms, starts_at?.getTime() ?? 0));
}

const time = (at: Date | null) => at?.getTime() ?? null;

/**
 * When a job counts, in ms; null: open. `takes`: from when its values hold, `ends`: from when they do not. `leaves`: from
 * when it gives nothing more beside another job, after its last working day or at once.
 */
type Span = Readonly<{ takes: number | null; ends: number | null; leaves: number | null }>;

function spanOf({ from, to, last_day, zone, urgent }: Job, rules: DayRules, now: Date): Span {
  const takes = from === null ? null : beginsAt(moved(from, -rules.change_lead_days), zone, rules.start_hour).getTime();
  const ends = to === null ? null : (dayEnds(to, zone)?.getTime() ?? null);
  const told = last_day === null ? ends : endsAt(last_day, zone, rules.end_hour).getTime();
  return { takes, ends, leaves: told !== null && urgent ? Math.min(told, now.getTime()) : told };
}

/** All jobs in force at an instant; when none is, the one that counts all the same. */
function inForceAt(spans: readonly Span[], at: number, job: number): readonly number[] {
  const open = Number.POSITIVE_INFINITY;
  const in_force = spans.flatMap(({ takes, ends, leaves }, n) =>
    (takes ?? -open) <= at && at < (ends ?? open) && at < (leaves ?? open) ? [n] : [],
  );
  return in_force.length === 0 ? [job] : in_force;
}

/**
 * The job that counts at an instant: of those in force the primary one, else the one that began last; when none is, the
 * next to begin, else the last to have ended; of several that ended together, the last to begin. Of equals by its place.
 */
function jobAt(jobs: readonly Job[], spans: readonly Span[], at: number): number {
  const began = (n: number) => spans[n]?.takes ?? Number.NEGATIVE_INFINITY;
  const ended = (n: number) => spans[n]?.ends ?? Number.POSITIVE_INFINITY;
  const all = jobs.map((_, n) => n);
  const best = (some: readonly number[], rank: (n: number) => number) =>
    some.reduce<number | undefined>((top, n) => (top === undefined || rank(n) > rank(top) ? n : top), undefined);
  const in_force = all.filter((n) => began(n) <= at && at < ended(n));
  const primary = in_force.filter((n) => jobs[n]?.primary === true);
  const ahead = all.filter((n) => began(n) > at);
  const next = best(primary.length > 0 ? primary : in_force, began) ?? best(ahead, (n) => -began(n));
  if (next !== undefined) return next;
  const last = Math.max(...all.map(ended));
  const at_last = all.filter((n) => ended(n) === last);
  return best(at_last, began) ?? 0;
}

function periodsOf(jobs: readonly Job[], spans: readonly Span[], rules: DayRules, now: Date): readonly Period[] {
  const day = (text: string | null, open: number) =>
    text === null ? open : Math.floor((parseInstant(text.slice(0, 10)) ?? 0) / day_ms);
  const sorted = jobs
    .map((job, n) => ({
      ...{ job, n, from: day(job.from, Number.NEGATIVE_INFINITY), to: day(job.to, Number.POSITIVE_INFINITY) },
    }))
    .sort((a, b) => a.from - b.from || a.to - b.to || a.n - b.n);
  const merged: { first: Job; last: Job; to: number }[] = [];
  for (const { job, from, to } of sorted) {
    const open = merged.at(-1);
    if (open === undefined || from > open.to + 1) merged.push({ first: job, last: job, to });
    else if (to > open.to) Object.assign(open, { last: job, to });
  }
  const several = spans.length > 1;
  return merged.map(({ first, last }): Period => {
    const starts_at = first.from === null ? null : beginsAt(first.from, first.zone, rules.start_hour);
    const prepares_at = first.from === null ? null : beginsAt(moved(first.from, -rules.hire_lead_days), first.zone, 0);
    const ends_at = endOf(last, rules, now, several ? null : starts_at);
    return { starts_at, ends_at, prepares_at, renewable: last.renewable };
  });
}

/** When access ends: after the last working day if it is told, else the employment's last day, less the lead; urgent: now. */
function endOf(job: Job, rules: DayRules, now: Date, not_before: Date | null): Date | null {
  const told = job.last_day ?? (job.to === null ? null : moved(job.to, -rules.leave_lead_days));
  if (told === null) return null;
  const at = endsAt(told, job.zone, rules.end_hour);
  const cut = job.urgent && at > now ? now : at;
  // A lead that reaches behind the first day would make it someone who ends before starting.
  return not_before !== null && cut <= not_before ? endsAt(job.to ?? told, job.zone, rules.end_hour) : cut;
}

/** The first period that is not over, else the last. */
function periodAt(periods: readonly Period[], at: number): Period {
  const none: Period = { starts_at: null, ends_at: null, prepares_at: null, renewable: false };
  return periods.find(({ ends_at }) => ends_at === null || ends_at.getTime() > at) ?? periods.at(-1) ?? none;
}

/** A day some days on, as ISO text. */
function moved(day: string, days: number): string {
  return new Date((parseInstant(day.slice(0, 10)) ?? 0) + days * day_ms).toISOString().slice(0, 10);
}

/** An hour of a day where the person is. Clocks that are changed that day are read as they then are. */
function beginsAt(day: string, zone: string, hour: number): Date {
  const midnight = dayBegins(day, zone) ?? new Date(0);
  const next = dayBegins(moved(day, 1), zone) ?? midnight;
  const shift = next.getTime() - midnight.getTime() - day_ms;
  // Clocks change in the small hours: whoever starts later in the day starts by the changed clock.
  return new Date(midnight.getTime() + hour * hour_ms + (hour > 3 ? shift : 0));
}

function endsAt(day: string, zone: string, hour: number): Date {
  return hour === 24 ? (dayEnds(day, zone) ?? new Date(0)) : beginsAt(day, zone, hour);
}
