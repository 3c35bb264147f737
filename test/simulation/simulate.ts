/**
 * One simulated run: a drawn sequence of commands under a drawn mix of faults (safety after each step), then an end to all
 * faults and enough time (liveness: the apps hold exactly what people asked for), then one more pass (quiescence: not a
 * single write).
 *
 * Where nothing happened that the four rules cannot see (late deliveries, lagging reads, edits in the app itself), the
 * apps must come right without a reconcile.
 */
import fc from "fast-check";
import { desire } from "../../src/engine/desire.ts";
import { reconcileApp } from "../../src/engine/reconcile.ts";
import type { Bug } from "../../src/engine/world.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { settle } from "../support/world.ts";
import { sequences, Violation } from "./commands.ts";
import { buildCompany, type Company, type FaultMix, pass } from "./company.ts";
import { unrecorded, unsettled } from "./oracle.ts";

/** What many runs did. `failure`: how to play the first violation again, and what it was. */
export type Tally = {
  runs: number;
  steps: number;
  fired: Record<string, number>;
  violations: number;
  failure?: { seed: number; path: string; message: string };
};

const kinds = [
  "refuse_before",
  "lose_reply_after_effect",
  "rate_limit",
  "slow",
  "conflict",
  "partial_write",
  "stale_read",
  "looping_page",
  "duplicate_page",
  "normalise",
  "denied",
] as const;

/** Swarm testing: each run draws its own mix, with most kinds switched off, so that rare combinations come up. */
const mixes: fc.Arbitrary<FaultMix> = fc
  .tuple(fc.subarray([...kinds], { maxLength: 3 }), fc.constantFrom(0.1, 0.3, 0.6))
  .map(([some, probability]) => Object.fromEntries(some.map((kind) => [kind, probability])));

/** Plays one property check of up to `runs` runs with a seed. */
export async function play(
  db: Database,
  seed: number,
  runs: number,
  bugs: ReadonlySet<Bug>,
  tally: Tally,
  until: number,
  path?: string,
): Promise<void> {
  const property = fc.asyncProperty(
    mixes,
    fc.boolean(),
    fc.nat(),
    fc.boolean().chain(sequences),
    async (mix, pause, chance, commands) => {
      if (Date.now() > until) return;
      const company = await buildCompany(db, chance, mix, bugs);
      try {
        await fc.asyncModelRun(() => ({ model: {}, real: company }), commands);
        await calm(company, pause);
      } finally {
        tally.runs++;
        tally.steps += company.steps;
        for (const fake of company.fakes) {
          for (const [kind, n] of Object.entries(fake.fired)) tally.fired[kind] = (tally.fired[kind] ?? 0) + n;
        }
      }
    },
  );
  const report = await fc.check(property, {
    seed,
    numRuns: runs,
    // A planted bug has only to be found; a violation of ours is worth the time to shrink it.
    endOnFailure: bugs.size > 0,
    interruptAfterTimeLimit: Math.max(1, until - Date.now()),
    markInterruptAsFailure: false,
    ...(path === undefined ? {} : { path }),
  });
  if (!report.failed) return;
  // An error that is not a violation is the harness's or the engine's own: it proves nothing about a planted bug.
  if (bugs.size > 0 && !(report.errorInstance instanceof Violation)) throw report.errorInstance;
  tally.violations++;
  tally.failure = {
    seed: report.seed,
    path: report.counterexamplePath ?? "",
    message: `${describe(report.errorInstance)}\n${fc.stringify(report.counterexample)}`,
  };
}

/** The end of the run: faults stop, workers die, time passes, everything settles, and the oracle is asked. */
async function calm(company: Company, look: boolean): Promise<void> {
  const { world } = company;
  company.faults_on = false;
  company.flights = [];
  await settleLong(company);
  if (company.needs_reconcile) {
    for (const fake of company.fakes) fake.deliverLate();
    await reconcileAll(company);
  }
  expectNone("after everything settled", await unsettled(company));
  if (look) {
    await reconcileAll(company);
    expectNone("after a reconcile with nothing wrong", await unsettled(company));
  }
  const writes = countWrites(company);
  const { rows } = await sql<{ id: string }>`select id from users`.execute(world.db);
  await sql`
    insert into dirty (user_id, priority, marked_at) select id, 30, ${world.now()}::timestamptz from users
    on conflict do nothing`.execute(world.db);
  const again = await desire(world, rows.length + 1);
  if (again.due > 0) throw new Violation(`${again.due} accounts became due although nothing had changed`);
  await settle(world);
  if (countWrites(company) !== writes) throw new Violation("another pass wrote although nothing had changed");
  expectNone("in the tables", await unrecorded(company));
}

/** Leases, pauses and backoffs all end within a few hours. */
async function settleLong(company: Company): Promise<void> {
  for (let hour = 0; hour < 6; hour++) {
    await pass(company, 3_700_000);
    await settle(company.world);
  }
}

async function reconcileAll(company: Company): Promise<void> {
  await sql`update pushed_groups set full_check = true, due_at = ${company.world.now()}::timestamptz`.execute(
    company.world.db,
  );
  for (const app of company.apps) await reconcileApp(company.world, app);
  await settleLong(company);
}

/** A violation needs no stack; anything else does. */
const describe = (error: unknown) =>
  error instanceof Violation ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);

const writing = new Set(["create", "update", "delete", "group_create", "group_rename", "group_change", "group_delete"]);
const countWrites = (company: Company) =>
  company.fakes.reduce((sum, fake) => sum + fake.calls.filter((call) => writing.has(call.op)).length, 0);

function expectNone(when: string, found: readonly string[]): void {
  if (found.length > 0) throw new Violation(`${when}: ${found.join("; ")}`);
}

export const faultKinds = kinds;
