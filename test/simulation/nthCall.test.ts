/**
 * The n-th call: one person is hired, moves and gets a new name, leaves and returns, while in each app exactly one call
 * fails: the first in the first app, the second in the second, and so on past the last call that a healthy app gets.
 * Whatever fails, each app ends with one account and the right members, and then nothing more is written.
 *
 * All apps of a case share one company and one story, so a case of thirty failures costs little more than one. The apps
 * take two accounts with one name, so that doubling cannot hide. Lagging reads and late deliveries, which only a
 * reconcile can mend, belong to the swarm (simulate.ts).
 */
import { beforeAll, describe, expect, test } from "vitest";
import { type Connector, ConnectorFault } from "../../src/connectors/connector.ts";
import type { FakeApp, FakeFaultKind } from "../../src/connectors/fake/connector.ts";
import { assignGroups } from "../../src/directory/groupAssignments.ts";
import { createGroups } from "../../src/directory/groups.ts";
import { activateRule, createRule } from "../../src/directory/rules.ts";
import { transitionUser } from "../../src/directory/userLifecycle.ts";
import { createUsers, updateUsers } from "../../src/directory/users.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryDatabase, wipe } from "../support/memory.ts";
import { addFakeApp, must, profileOf, settle, type TestWorld, testWorld } from "../support/world.ts";

/** `not_found`: the app denies knowing what it has, once. */
type Kind = FakeFaultKind | "not_found";

const kinds: readonly Kind[] = [
  "refuse_before",
  "lose_reply_after_effect",
  "rate_limit",
  "conflict",
  "partial_write",
  "normalise",
  "denied",
  "not_found",
];

const departments = ["Sales", "Marketing"] as const;

/** One app of the case, with the number of the call that fails in it. */
type Failing = Readonly<{ n: number; id: string; fake: FakeApp; fired(): string | null }>;

let db: Database;
/** Making an app asks it for its schema: a call that is not counted. */
const before_story = 1;
/** How many calls the story takes in an app where nothing fails. */
let calls_max = 0;

beforeAll(async () => {
  db = await memoryDatabase();
  const { world, apps } = await company("refuse_before", [Number.POSITIVE_INFINITY]);
  await story(world, apps, true);
  calls_max = (apps[0]?.fake.calls.length ?? 0) - before_story;
});

test("the story makes enough calls for failures to be worth counting", () => {
  expect(calls_max).toBeGreaterThan(10);
});

describe.each(kinds)("with a call that ends in %s", (kind) => {
  test.each([
    ["each step is done before the next is asked for", true],
    ["the next step comes while the failure is still being mended", false],
  ])(
    "whichever call it is, one account is left in the right state, and then nothing is written (%s)",
    async (_words, patient) => {
      const all = Array.from({ length: calls_max + 1 }, (_, n) => n + 1);
      const { world, apps } = await company(kind, all);
      const first_ids = await story(world, apps, patient);
      const wrong = apps.flatMap((app) =>
        faultsOf(app, first_ids.get(app.id)).map((what) => describeCase(kind, app, what)),
      );
      expect(wrong).toEqual([]);
      expect(apps.filter((app) => app.fired() !== null).length, "failures that struck").toBeGreaterThan(0);
      if (patient) expect(apps.at(-1)?.fired(), "a failure past the last call").toBeNull();
      expect(await leftovers(world)).toEqual({ work: 0, pushes: 0, dirty: 0, tasks: [] });
      expect(await writesOfAnotherPass(world, apps)).toEqual([]);
    },
  );
});

const describeCase = (kind: Kind, app: Failing, what: string) => `${kind} at call ${app.n} (${app.fired()}): ${what}`;

/** A company with an app for each `n`; every app is given and pushed the same groups. */
async function company(kind: Kind, numbers: readonly number[]): Promise<{ world: TestWorld; apps: Failing[] }> {
  await wipe(db);
  const world = await testWorld(db);
  const names = ["Staff", ...departments];
  const groups = await must(
    createGroups(
      world.command,
      names.map((name) => ({ profile: { name } })),
    ),
  );
  const [staff, ...byDepartment] = groups.map(({ id }) => id);
  const conditions = ['user.userType == "staff"', ...departments.map((name) => `user.department == "${name}"`)];
  for (const [n, expression] of conditions.entries()) {
    const rule = await must(
      createRule(world.command, { name: names[n] ?? "", expression, group_ids: [groups[n]?.id ?? ""] }),
    );
    await must(activateRule(world.command, rule.id));
  }
  const apps: Failing[] = [];
  for (const n of numbers) {
    const app = await failingApp(world, kind, n);
    await must(assignGroups(world.command, app.id, [{ group_id: staff ?? "" }]));
    for (const group of byDepartment) {
      await sql`insert into pushed_groups (app_id, group_id, mode, due_at)
        values (${app.id}, ${group}, 'create', ${world.now()}::timestamptz)`.execute(db);
    }
    apps.push(app);
  }
  return { world, apps };
}

async function failingApp(world: TestWorld, kind: Kind, n: number): Promise<Failing> {
  const label = `Call ${n}`;
  const provisioning = { reconcile_hours: 8_784 };
  const script = ({ n: call }: { n: number }) =>
    kind !== "not_found" && call === n + before_story
      ? { kind, ...(kind === "rate_limit" ? { after_ms: 30_000 } : {}) }
      : undefined;
  const id = await addFakeApp(world, { label, provisioning, fake: { unique: false, script } });
  const fake = world.fakes.get(id) as FakeApp;
  let denied: string | null = null;
  if (kind === "not_found") {
    world.connectors.set(
      id,
      denying(fake, n, (op) => (denied = op)),
    );
  }
  const struck = () => fake.calls.find(({ fault }) => fault !== null)?.op ?? null;
  return { n, id, fake, fired: () => denied ?? struck() };
}

/** The connector, save that its `n`-th call about something known by its id is told that there is no such thing. */
function denying(fake: FakeApp, n: number, note: (op: string) => void): Connector {
  let strikes = 1;
  const strike = (op: string): boolean => {
    if (fake.calls.length + 1 - before_story < n || strikes === 0) return false;
    strikes--;
    note(op);
    return true;
  };
  const { connector } = fake;
  const { groups } = connector;
  const unknown = () => Promise.reject(new ConnectorFault("not_found", "The app answered 404", { status: "404" }));
  return {
    ...connector,
    read: (ctx, id) => (strike("read") ? Promise.resolve(null) : connector.read(ctx, id)),
    update: (ctx, id, change) => (strike("update") ? unknown() : connector.update(ctx, id, change)),
    ...(groups === undefined
      ? {}
      : {
          groups: {
            ...groups,
            read: (ctx, id) => (strike("group read") ? Promise.resolve(null) : groups.read(ctx, id)),
            members: (ctx, id) => (strike("group members") ? unknown() : groups.members(ctx, id)),
            change: (ctx, id, delta) => (strike("group change") ? unknown() : groups.change(ctx, id, delta)),
          },
        }),
  };
}

/** Hire → move with a new name → leave → return. Gives the first account of each app, as soon as there is one. */
async function story(
  world: TestWorld,
  apps: readonly Failing[],
  patient: boolean,
): Promise<ReadonlyMap<string, string>> {
  const first_ids = new Map<string, string>();
  const after = async (wait: boolean) => {
    if (wait) await settleWithTime(world);
    else await settle(world);
    for (const { id, fake } of apps) {
      const [account] = fake.accounts.keys();
      if (account !== undefined && !first_ids.has(id)) first_ids.set(id, account);
    }
  };
  const profile = profileOf("Ada", "Byron", { userType: "staff", department: "Sales" });
  const [user] = await must(createUsers(world.command, [{ profile, activate: true }]));
  const id = user?.id ?? "";
  await after(patient);
  const moved = {
    login: "ada.king@example.com",
    email: "ada.king@example.com",
    lastName: "King",
    department: "Marketing",
  };
  await must(updateUsers(world.command, [{ id, profile: moved }]));
  await after(patient);
  await must(transitionUser(world.command, id, { kind: "deactivate" }));
  await after(patient);
  await must(transitionUser(world.command, id, { kind: "activate" }));
  await after(true);
  return first_ids;
}

/** Lets pauses and backoffs pass until nothing is left to do. */
async function settleWithTime(world: TestWorld): Promise<void> {
  for (let turn = 0; turn < 30; turn++) {
    await settle(world);
    const { work, pushes, dirty } = await leftovers(world);
    if (work + pushes + dirty === 0) return;
    world.clock.advance(600_000);
  }
}

/** Work and tasks that are still open. */
async function leftovers({ db: database }: TestWorld) {
  const { rows } = await sql<{ work: number; pushes: number; dirty: number; tasks: readonly string[] }>`
    select (select count(*) from work)::int as work, (select count(*) from dirty)::int as dirty,
      (select count(*) from pushed_groups where due_at is not null or unsure or fault is not null)::int as pushes,
      (select coalesce(jsonb_agg(t.title || ': ' || (t.detail->>'message')), '[]') from tasks t where t.status = 'OPEN') as tasks`.execute(
    database,
  );
  return rows[0] ?? { work: -1, pushes: -1, dirty: -1, tasks: [] };
}

/** What is wrong in an app at the end. */
function faultsOf({ fake }: Failing, first_id: string | undefined): string[] {
  const accounts = [...fake.accounts];
  const [account] = accounts;
  if (account === undefined || accounts.length > 1) return [`${accounts.length} accounts`];
  const [id, { enabled, profile }] = account;
  const { userName, familyName, department } = profile;
  const state = { id, enabled, userName, familyName, department };
  const should = {
    ...{ id: first_id, enabled: true, userName: "ada.king@example.com", familyName: "King", department: "Marketing" },
  };
  const groups = Object.fromEntries([...fake.groups.values()].map(({ name, members }) => [name, [...members].join()]));
  const expected = { Sales: "", Marketing: id };
  return [
    ...(same(state, should) ? [] : [`${JSON.stringify(state)} instead of ${JSON.stringify(should)}`]),
    ...(same(groups, expected) && fake.groups.size === 2
      ? []
      : [`groups ${JSON.stringify(groups)}, ${fake.groups.size} in all`]),
  ];
}

const same = (a: object, b: object) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
const sorted = (of: object) => Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1));

const writing = /^(create|update|delete|group_(create|rename|change|delete))$/;

/** The writes of a pass in which everyone and every group is looked at again: there is no reason for any. */
async function writesOfAnotherPass(world: TestWorld, apps: readonly Failing[]): Promise<string[]> {
  const before = new Map(apps.map(({ id, fake }) => [id, fake.calls.length]));
  await sql`insert into dirty (user_id, priority, marked_at) select id, 30, ${world.now()}::timestamptz from users`.execute(
    world.db,
  );
  await sql`update pushed_groups set full_check = true, due_at = ${world.now()}::timestamptz`.execute(world.db);
  await settle(world);
  return apps.flatMap(({ n, id, fake }) =>
    fake.calls.slice(before.get(id)).flatMap(({ op }) => (writing.test(op) ? [`call ${n}: ${op}`] : [])),
  );
}
