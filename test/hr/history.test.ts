/** A company's history, small: what `npm run hr` does with thousands of people and more than a year. */
import { beforeAll, beforeEach, expect, test } from "vitest";
import type { Database } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { drive } from "./drive.ts";
import { expected, type Snapshot } from "./oracle.ts";

let db: Database;
beforeAll(async () => {
  db = await memoryDatabase();
});
beforeEach(() => wipe(db));

test.each([
  ["as HR keeps it", false, 1, 15],
  ["in random order, with days skipped and days delivered twice", true, 2, 60],
])("nobody is ever in a wrong state: the history comes %s", { timeout: 300_000 }, async (_how, variant, seed, days) => {
  const wrong: string[] = [];
  const result = await drive(db, { people: 50, days, seed, variant, onWrong: (words) => wrong.push(words) });
  expect(wrong).toEqual([]);
  expect(result).toMatchObject({ wrong_states: 0, wrong_imports: 0, doubles: 0 });
  // A history in which nothing happens proves nothing.
  for (const state of ["in", "away", "waits", "out"])
    expect([state, result.states[state]]).not.toEqual([state, undefined]);
  expect(Object.values(result.deeds).reduce((a, b) => a + b)).toBeGreaterThan(50);
});

const someone: Snapshot = {
  ...{ n: 1, id: "1", last: "A", zone: "Asia/Tokyo", last_day: null, away: { from: 20, to: 22 }, listed: true },
  jobs: [
    { from: 10, to: 30, department: "Mills", primary: false, active: true },
    { from: 31, to: 40, department: "Sales", primary: false, active: true },
  ],
};

test.each([
  ["2026-01-10T14:59:00Z", "waits", null],
  ["2026-01-10T15:00:00Z", "in", "Mills"],
  ["2026-01-21T00:00:00Z", "away", "Mills"],
  ["2026-01-31T14:59:00Z", "in", "Mills"],
  ["2026-01-31T15:00:00Z", "in", "Sales"],
  ["2026-02-10T15:00:00Z", "out", null],
])("the oracle says of a person at %s: %s, %s", (when, state, department) => {
  expect(expected(someone, new Date(when))).toEqual({ state, department });
});
