/**
 * Drives a history through Tenure: each day's list is written to a CSV file, imported as any HR file is, and the clock goes
 * on; after each step everyone is compared with the oracle. Everything is real but the app, which is in memory.
 */
import { assignGroups } from "../../src/directory/groupAssignments.ts";
import { createGroups } from "../../src/directory/groups.ts";
import { activateRule, createRule } from "../../src/directory/rules.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { type Hr, hrSource, type Row } from "../engine/hr.ts";
import { all_columns } from "../stories/hrStage.ts";
import { addFakeApp, manualClock, must, seeded, settle, type TestWorld, testWorld } from "../support/world.ts";
import { type Day, history } from "./history.ts";
import { dayText, type Expected, epoch_ms, expected, type Snapshot } from "./oracle.ts";

/** `variant`: rows in random order, days skipped, days delivered twice. */
export type Drive = Readonly<{
  people: number;
  days: number;
  seed: number;
  variant: boolean;
  /** Told of everyone who is wrong, while there are few. */
  onWrong?: (words: string) => void;
  onDay?: (day: Day) => void;
}>;

export type Driven = Readonly<{
  wrong_states: number;
  /** Comparisons of a person with the oracle. */
  compared: number;
  imports: number;
  skipped: number;
  twice: number;
  /** Imports that were not carried out, or that changed something when they were repeated. */
  wrong_imports: number;
  /** Accounts made beyond one for each person. */
  doubles: number;
  states: Readonly<Record<string, number>>;
  deeds: Readonly<Record<string, number>>;
}>;

const hour_ms = 3_600_000;
const day_ms = 24 * hour_ms;
const import_hour = 6;

/** Lives a whole history over an empty database. */
export async function drive(db: Database, options: Drive): Promise<Driven> {
  const { people, days, seed, variant } = options;
  const world = await testWorld(db, { clock: manualClock(new Date(epoch_ms).toISOString()), seed });
  const stage = await openStage(world);
  const lives = history(people, seed, days);
  const chance = seeded(seed + 77);
  const [skip_every, twice_every] = [Math.max(3, Math.floor(days / 7)), Math.max(2, Math.floor(days / 11))];
  const tally = { wrong_states: 0, compared: 0, imports: 0, skipped: 0, twice: 0, wrong_imports: 0 };
  const states: Record<string, number> = {};
  let list: readonly Snapshot[] = [];
  const compare = async (what: string) => {
    const wrong = await compareAll(stage, list, states);
    tally.compared += list.length;
    tally.wrong_states += wrong.length;
    for (const words of wrong.slice(0, 5)) options.onWrong?.(`${what}: ${words}`);
  };
  for (let day = 0; day < days; day++) {
    lives.work(day);
    await goTo(world, day, import_hour);
    await compare(`day ${day}, before its file`);
    if (variant && day > 0 && day % skip_every === 0) tally.skipped += 1;
    else {
      list = structuredClone(lives.people);
      const rows = list.flatMap(rowsOf);
      const again = variant && day % twice_every === 1;
      tally.imports += 1;
      tally.wrong_imports += await importDay(stage, variant ? shuffled(rows, chance) : rows, again, options);
      if (again) tally.twice += 1;
      await settle(world, 200);
      await compare(`day ${day}, after its file`);
    }
    // Between the midnights of Tokyo and Rome, and after both.
    await goTo(world, day, day % 2 === 0 ? 16 : 23.5);
    await compare(`day ${day}, in the evening`);
    options.onDay?.(day);
  }
  const doubles = await doublesOf(stage);
  for (const words of doubles.slice(0, 5)) options.onWrong?.(`twice there: ${words}`);
  return { ...tally, doubles: doubles.length, states, deeds: lives.deeds };
}

type Stage = Readonly<{ world: TestWorld; hr: Hr; app: string }>;

async function openStage(world: TestWorld): Promise<Stage> {
  const app = await addFakeApp(world);
  const [staff] = await must(createGroups(world.command, [{ profile: { name: "Staff" } }]));
  await must(assignGroups(world.command, app, [{ group_id: staff!.id }]));
  const rule = { name: "Staff", expression: 'user.employeeNumber != ""', group_ids: [staff!.id] };
  await must(activateRule(world.command, (await must(createRule(world.command, rule))).id));
  const switches = { ...all_columns, guard_people: 10, guard_percent: 20, hire_lead_days: 3 };
  return { world, app, hr: await hrSource(world, switches, "HR", true) };
}

async function goTo(world: TestWorld, day: Day, hour: number): Promise<void> {
  world.clock.set(new Date(epoch_ms + day * day_ms + hour * hour_ms));
  await settle(world, 200);
}

/** Imports a day's rows. Gives how much of it went wrong. */
async function importDay({ hr }: Stage, rows: readonly Row[], again: boolean, { onWrong }: Drive): Promise<number> {
  const run = await hr.run(rows);
  let wrong = 0;
  if (run.status !== "DONE" || !run.complete) {
    onWrong?.(`an import ended ${run.status}: ${run.reason} ${JSON.stringify(run.counts)}`);
    wrong += 1;
  }
  if (!again) return wrong;
  const repeated = await hr.run();
  const changed = ["created", "updated", "linked", "returned", "left"].filter((outcome) => outcome in repeated.counts);
  if (changed.length > 0) onWrong?.(`the same file again: ${JSON.stringify(repeated.counts)}`);
  return wrong + changed.length;
}

function rowsOf(person: Snapshot): readonly Row[] {
  if (!person.listed) return [];
  const day = (at: Day | null | undefined) => (at == null ? "" : dayText(at));
  return person.jobs.map((job) => ({
    ...{
      id: person.id,
      mail: `${person.last.toLowerCase()}@example.com`,
      first: `First${person.n}`,
      last: person.last,
    },
    ...{ department: job.department, state: job.active ? "active" : "left", zone: person.zone },
    ...{ start: day(job.from), end: day(job.to), lastday: day(person.last_day), primary: job.primary ? "yes" : "" },
    ...{ away: day(person.away?.from), back: day(person.away?.to) },
  }));
}

/** People who have two users, or two accounts in the app; a first name is one person's and never changes. */
async function doublesOf({ world, app }: Stage): Promise<readonly string[]> {
  const { rows } = await sql<{ words: string }>`
    select jsonb_agg(u.profile || jsonb_build_object('id', u.id, 'status', u.status, 'created', u.created_at))::text as words
    from users u group by u.profile->>'firstName' having count(*) > 1`.execute(world.db);
  const accounts = [...(world.fakes.get(app)?.accounts.values() ?? [])].map(({ profile }) => profile);
  const twice = [...Map.groupBy(accounts, ({ givenName }) => givenName).values()].filter((some) => some.length > 1);
  return [...rows.map(({ words }) => words), ...twice.map((some) => JSON.stringify(some))];
}

function shuffled<T>(some: readonly T[], chance: () => number): readonly T[] {
  const all = [...some];
  for (let n = all.length - 1; n > 0; n--) {
    const other = Math.floor(chance() * (n + 1));
    [all[n], all[other]] = [all[other] as T, all[n] as T];
  }
  return all;
}

type Found = Readonly<{
  external_id: string;
  status: string;
  department: string | null;
  enabled: boolean | null;
  made: boolean;
}>;

/** What the directory and the app say of everyone, beside the oracle. Gives who is wrong, in words. */
async function compareAll(stage: Stage, list: readonly Snapshot[], states: Record<string, number>): Promise<string[]> {
  const { world, hr, app } = stage;
  const { rows } = await sql<Found>`
    select a.external_id, u.status, u.profile->>'department' as department, (t.have->>'enabled')::boolean as enabled,
      t.external_id is not null as made
    from accounts a join users u on u.id = a.user_id left join accounts t on t.user_id = u.id and t.app_id = ${app}
    where a.app_id = ${hr.app_id}`.execute(world.db);
  const found = new Map(rows.map((row) => [row.external_id, row]));
  return list.flatMap((person) => {
    const wanted = expected(person, world.now());
    states[wanted.state] = (states[wanted.state] ?? 0) + 1;
    const is = found.get(person.id);
    if (fits(wanted, is)) return [];
    return [
      `${world.now().toISOString()} ${JSON.stringify(person)} should be ${JSON.stringify(wanted)}: ${JSON.stringify(is)}`,
    ];
  });
}

function fits(wanted: Expected, is: Found | undefined): boolean {
  switch (wanted.state) {
    case "in":
      return is?.status === "PROVISIONED" && is.enabled === true && is.department === wanted.department;
    case "away":
      return is?.status === "SUSPENDED" && is.enabled !== true;
    case "waits":
      return is?.status === "STAGED" && is.enabled !== true;
    case "out":
      return is === undefined || (is.status === "DEPROVISIONED" && is.enabled !== true);
    default:
      return wanted satisfies never;
  }
}
