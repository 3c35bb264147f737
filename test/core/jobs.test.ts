/** The laws of a person's jobs, over made-up ones. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DayRules, type Job, type Timeline, timeline } from "../../src/core/jobs.ts";

const usual: DayRules = { start_hour: 0, end_hour: 24, hire_lead_days: 0, change_lead_days: 0, leave_lead_days: 0 };
const day = (n: number) => new Date(Date.UTC(2026, 0, 1 + n)).toISOString().slice(0, 10);
const noon = (n: number) => new Date(Date.UTC(2026, 0, 1 + n, 12));
const job = (from: number | null, to: number | null, more: Partial<Job> = {}): Job => ({
  from: from === null ? null : day(from),
  to: to === null ? null : day(to),
  ...{ last_day: null, zone: "UTC", primary: false, urgent: false, renewable: false },
  ...more,
});

const zones = fc.constantFrom("UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland");
/** Jobs that begin on days of their own, so that none is as good as another. */
const jobs = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 90 }), zones), {
    ...{ minLength: 1, maxLength: 6, selector: ([from]: readonly [number, number, string]) => from },
  })
  .map((all) => all.map(([from, length, zone]) => job(from, from + length, { zone })));
const rules = fc.record({
  ...{ start_hour: fc.integer({ min: 0, max: 23 }), end_hour: fc.integer({ min: 1, max: 24 }) },
  hire_lead_days: fc.integer({ min: 0, max: 30 }),
  change_lead_days: fc.integer({ min: 0, max: 5 }),
  leave_lead_days: fc.constant(0),
  every: fc.boolean(),
});

/** The jobs themselves in place of where they stood. */
const told = (jobs: readonly Job[], { job: at, all, period, later }: Timeline) => ({
  ...{ job: jobs[at], all: those(jobs, all), period },
  later: later.map((one) => ({ ...one, job: jobs[one.job], all: those(jobs, one.all) })),
});
const those = (jobs: readonly Job[], indices: readonly number[]) => new Set(indices.map((n) => jobs[n]));

describe("a person's jobs", () => {
  test("mean the same in any order of their rows", () => {
    fc.assert(
      fc.property(jobs, rules, fc.integer({ min: -10, max: 400 }), fc.integer(), (all, how, at, seed) => {
        const turned = [...all.slice(Math.abs(seed) % all.length), ...all.slice(0, Math.abs(seed) % all.length)];
        expect(told(turned, timeline(turned, how, noon(at)))).toEqual(told(all, timeline(all, how, noon(at))));
      }),
    );
  });

  test("are told ahead: on the instant of a change that was told, nothing else is read than was told", () => {
    fc.assert(
      fc.property(jobs, rules, fc.integer({ min: -10, max: 400 }), (all, how, at) => {
        for (const change of timeline(all, how, noon(at)).later) {
          const then = timeline(all, how, change.at);
          const { at: _, ...foretold } = change;
          expect({ job: then.job, all: then.all, period: then.period }).toEqual(foretold);
        }
      }),
    );
  });

  test("that ended together mean the same in any order too: the one that began last is the last", () => {
    const [long, short] = [job(0, 20), job(10, 20)];
    const turns = [
      [long, short],
      [short, long],
    ];
    const last = turns.map((all) =>
      told(all, timeline(all, { ...usual, end_hour: 12 }, noon(5))).later.map((one) => one.job),
    );
    expect(last).toEqual([[short], [short]]);
  });

  test("that follow each other by a day leave no gap, wherever each of them is", () => {
    fc.assert(
      fc.property(rules, zones, zones, fc.integer({ min: -10, max: 60 }), (how, one, other, at) => {
        const [before, after] = [job(0, 20, { zone: one }), job(21, 50, { zone: other })];
        const { period } = timeline([before, after], how, noon(at));
        expect(period.starts_at).toEqual(timeline([before], how, noon(at)).period.starts_at);
        expect(period.ends_at).toEqual(timeline([after], how, noon(at)).period.ends_at);
      }),
    );
  });

  test("end after the last working day that the source tells, though a lead says otherwise; urgent ones at once", () => {
    const how = { ...usual, leave_lead_days: 10 };
    const last_day = { last_day: day(18) };
    expect(timeline([job(0, 20, last_day)], how, noon(5)).period.ends_at).toEqual(new Date(`${day(19)}T00:00:00Z`));
    expect(timeline([job(0, 20)], how, noon(5)).period.ends_at).toEqual(new Date(`${day(11)}T00:00:00Z`));
    const urgent = timeline([job(0, 20, { ...last_day, urgent: true })], how, noon(5)).period;
    expect(urgent.ends_at).toEqual(noon(5));
  });
});
