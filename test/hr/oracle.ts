/**
 * Who should be in which state at an instant, worked out naively from what HR's list says, by days. It shares no code with
 * Tenure: a person is in on a day that one of their jobs covers, and the calendar is asked where they are.
 */
import type { Day, Job, Person } from "./history.ts";

export type Expected = Readonly<
  { state: "in" | "away"; department: string } | { state: "waits" | "out"; department: null }
>;

/** What the file of a day said of a person. */
export type Snapshot = Readonly<
  Pick<Person, "n" | "id" | "last" | "zone" | "last_day" | "away" | "listed"> & { jobs: readonly Readonly<Job>[] }
>;

export const epoch_ms = Date.UTC(2026, 0, 1);
const day_ms = 86_400_000;

const calendars = new Map<string, Intl.DateTimeFormat>();

/** The day that it is in a zone. */
export function dayAt(instant: Date, zone: string): Day {
  const calendar = calendars.get(zone) ?? new Intl.DateTimeFormat("sv-SE", { timeZone: zone });
  calendars.set(zone, calendar);
  return (Date.parse(`${calendar.format(instant)}T00:00:00Z`) - epoch_ms) / day_ms;
}

export const dayText = (day: Day): string => new Date(epoch_ms + day * day_ms).toISOString().slice(0, 10);

const out: Expected = { state: "out", department: null };

/** What HR's list means for a person at an instant. */
export function expected(person: Snapshot, instant: Date): Expected {
  if (!person.listed) return out;
  const jobs = person.jobs.filter(({ active }) => active);
  const today = dayAt(instant, person.zone);
  const ends = ({ to }: Readonly<Job>) =>
    Math.min(to ?? Number.POSITIVE_INFINITY, person.last_day ?? Number.POSITIVE_INFINITY);
  const covering = jobs.filter((job) => job.from <= today && today <= ends(job));
  if (covering.length === 0) {
    return jobs.some(({ from }) => from > today) ? { state: "waits", department: null } : out;
  }
  const among = covering.some(({ primary }) => primary) ? covering.filter(({ primary }) => primary) : covering;
  const { department } = among.reduce((a, b) => (b.from > a.from ? b : a));
  const { away } = person;
  const absent = away !== null && away.from <= today && (away.to === null || today <= away.to);
  return { state: absent ? "away" : "in", department };
}
