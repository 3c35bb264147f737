/**
 * When a source is read by itself: a cron expression of five fields (minute, hour, day of month, month, day of week), or
 * `@hourly`, `@daily`, `@weekly`, `@monthly`, on the clock of a zone.
 *
 * Where clocks are put forward over the hour that is meant, the import runs right after it; where they are put back, once.
 */
import { Cron } from "croner";
import { isZone } from "../core/expression/functions/zones.ts";
import type { Sourcing } from "../store/tables.ts";

/** Longer than any that a person writes. */
const schedule_max = 100;
/** Whether a schedule ever comes does not hang on when that is asked. */
const any_day = new Date("2026-01-01T00:00:00Z");
const nicknames = ["@hourly", "@daily", "@weekly", "@monthly"];

/**
 * The first turn of a schedule after a moment; null: it never comes.
 *
 * @param schedule one that `scheduleProblem` has nothing against
 * @param zone IANA name
 */
export function nextTurn(schedule: string, zone: string, after: Date): Date | null {
  return new Cron(schedule, { timezone: zone, paused: true }).nextRun(after);
}

/** What is wrong with a source's schedule, naming the switch; undefined: nothing. */
export function scheduleProblem({
  schedule = null,
  incremental_schedule = null,
  schedule_zone = null,
}: Pick<Sourcing, "schedule" | "incremental_schedule" | "schedule_zone">):
  | Readonly<{ name: "schedule" | "incremental_schedule" | "schedule_zone"; problem: string }>
  | undefined {
  if (schedule_zone !== null && !isZone(schedule_zone)) {
    return { name: "schedule_zone", problem: `"${schedule_zone}" is no time zone; use a name such as Europe/Rome` };
  }
  for (const [name, text] of Object.entries({ schedule, incremental_schedule })) {
    const problem = text === null ? undefined : patternProblem(text, schedule_zone ?? "UTC");
    if (problem !== undefined) return { name: name as "schedule" | "incremental_schedule", problem };
  }
  return undefined;
}

function patternProblem(schedule: string, zone: string): string | undefined {
  const problem = `"${schedule.slice(0, schedule_max)}" is no schedule: write minute, hour, day, month and day of week, such as "30 5 * * 1-5", or @daily`;
  const fields = schedule.trim().split(/\s+/).length;
  if (schedule.length > schedule_max || (fields !== 5 && !nicknames.includes(schedule.trim()))) {
    return problem;
  }
  try {
    return nextTurn(schedule, zone, any_day) === null ? `"${schedule}" names no day that ever comes` : undefined;
  } catch {
    return problem;
  }
}
