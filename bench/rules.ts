/**
 * Rules at size: 100 rules that fill 100 groups, over N people, about five hits a person, through a running node. `first`:
 * all of them are new; `unchanged`: an administrator asks for all of them again and nobody differs; `one_rule`: one of
 * them is changed, so that one person in 25 leaves its group and as many come; `one_person`: somebody moves to another
 * department, from the commit of the command until their memberships are right.
 *
 * The groups give no app here: what an app makes of its people is measured by the other benchmarks. `marked_s` is the one
 * changed rule again after an app was given to its group, so that whoever moved is marked for their accounts.
 *
 * The ceiling is one sequential scan that evaluates the same conditions and inserts the rows into a plain table.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { departments, places } from "../demo/names.ts";
import { baseUserSchema } from "../src/core/baseSchema.ts";
import { checkExpression } from "../src/core/expression/expression.ts";
import { createApp } from "../src/directory/apps.ts";
import { assignGroups } from "../src/directory/groupAssignments.ts";
import { createGroups } from "../src/directory/groups.ts";
import { activateRule, createRule, evaluateAgain, updateRule } from "../src/directory/rules.ts";
import { fragment } from "../src/directory/sqlText.ts";
import { updateUsersEach } from "../src/directory/users.ts";
import { checkConfig } from "../src/main/appTools.ts";
import { type Database, sql } from "../src/store/database.ts";
import type { Bench, BenchOptions } from "./frame/bench.ts";
import { benchKey, commandOf, must, startNode } from "./frame/engine.ts";
import { type Ground, serverAtRest } from "./frame/ground.ts";
import { type Metered, measure } from "./frame/meter.ts";
import { insertPeople } from "./frame/people.ts";
import { median, percentile, spread } from "./frame/stats.ts";

/** Name → condition. */
const rules: ReadonlyMap<string, string> = new Map([
  ...departments.map(({ name }) => [`Department ${name}`, `user.department == "${name}"`] as const),
  ...places.map(({ city }) => [`City ${city}`, `user.city == "${city}"`] as const),
  ...["Product", "Operations", "Market", "Corporate"].map(
    (name) => [`Division ${name}`, `user.division == "${name}"`] as const,
  ),
  ["Employees", 'user.userType == "employee"'],
  ["Contractors", 'user.userType == "contractor"'],
  ...departments.flatMap(({ ladder }) => ladder.slice(1)).map((title) => [title, `user.title == "${title}"`] as const),
  ["Leads", 'String.stringContains(user.title, "Lead") OR String.startsWith(user.title, "Head of")'],
  ["Officers", 'String.startsWith(user.title, "VP ") OR String.startsWith(user.title, "Chief")'],
  ["Contract titles", 'String.stringContains(user.title, "(contract)") AND user.userType == "contractor"'],
  ["Numbers that end in 7", 'String.endsWith(user.employeeNumber, "7")'],
  ...departments
    .flatMap(({ name }) => places.map(({ city }) => ({ name, city })))
    .slice(0, 43)
    .map(({ name, city }, n) => {
      const who = n % 2 === 0 ? "" : ' AND user.userType != "contractor"';
      return [`${name} in ${city}`, `user.department == "${name}" AND user.city == "${city}"${who}`] as const;
    }),
]);

/** The rule that is changed, and to what: both cities have one person in 25. */
const moved = { name: `City ${places[6]?.city}`, expression: `user.city == "${places[7]?.city}"` };

const people_changed = 40;
const look_ms = 10;

type Made = Readonly<{ rule_ids: ReadonlyMap<string, string>; group_ids: ReadonlyMap<string, string> }>;

/** The groups and rules, none of them active. */
async function makeRules(db: Database): Promise<Made> {
  const names = [...rules.keys()];
  const groups = await must(
    createGroups(
      commandOf(db),
      names.map((name) => ({ profile: { name } })),
    ),
  );
  const group_ids = new Map(groups.map((group, n) => [names[n] ?? "", group.id]));
  const rule_ids = new Map<string, string>();
  for (const [name, expression] of rules) {
    const rule = await must(createRule(commandOf(db), { name, expression, group_ids: [group_ids.get(name) ?? ""] }));
    rule_ids.set(name, rule.id);
  }
  return { rule_ids, group_ids };
}

/** One scan with all conditions, and its rows in a plain table. Gives the seconds and the rows. */
async function ceiling(
  db: Database,
  { rule_ids, group_ids }: Made,
): Promise<Readonly<{ seconds: number; rows: number }>> {
  const names = [...rules.keys()];
  const cases = names.map((name, n) => {
    const checked = checkExpression(rules.get(name) ?? "", { context: "rule", user: baseUserSchema.attributes });
    const written = "ok" in checked ? checked.ok.sql({ now: new Date(), time_zone: "UTC" }) : null;
    if (written === null) throw new Error(`${name} has no SQL form`);
    return sql`case when ${fragment(written)} then ${sql.lit(n + 1)} end`;
  });
  await sql`create table ceiling_rows (user_id text, group_id text, rule_id text)`.execute(db);
  const began = performance.now();
  const { numAffectedRows } = await sql`
    insert into ceiling_rows
    select u.id, p.group_id, p.rule_id
    from users u cross join unnest(array_remove(array[${sql.join(cases)}], null)) as one(n)
    join unnest(${names.map((_, n) => n + 1)}::int[], ${names.map((name) => group_ids.get(name))}::text[],
      ${names.map((name) => rule_ids.get(name))}::text[]) as p(n, group_id, rule_id) on p.n = one.n`.execute(db);
  const seconds = (performance.now() - began) / 1000;
  await sql`drop table ceiling_rows`.execute(db);
  return { seconds, rows: Number(numAffectedRows) };
}

/** Waits until no rule is due. */
async function untilEvaluated(db: Database): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ due: boolean }>`
      select exists (select from rules where due_at is not null) as due`.execute(db);
    if (!rows[0]?.due) return;
    await sleep(look_ms);
  }
}

async function countGrants(db: Database): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from membership_grants`.execute(db);
  return rows[0]?.n ?? 0;
}

/** Somebody moves to another department, again and again somebody else: milliseconds each. */
async function movePeople(db: Database, { rule_ids }: Made): Promise<number[]> {
  const { rows } = await sql<{ id: string; department: string }>`
    select id, profile->>'department' as department from users tablesample system (1)
    where profile->>'department' is distinct from 'Management' limit ${people_changed}`.execute(db);
  const waited: number[] = [];
  for (const { id, department } of rows) {
    const next = department === "Finance" ? "Sales" : "Finance";
    const rule = rule_ids.get(`Department ${next}`);
    await must(updateUsersEach(commandOf(db), [{ id, profile: { department: next } }]));
    const began = performance.now();
    for (let right = false; !right; ) {
      const answer = await sql<{ right: boolean }>`
        select ${rule} = any(array(select source_id from membership_grants where user_id = ${id})) as right`.execute(
        db,
      );
      right = answer.rows[0]?.right ?? false;
      // Looking without a pause would take the time from the node that is measured.
      if (!right) await sleep(1);
    }
    waited.push(performance.now() - began);
    await sleep(look_ms);
  }
  return waited;
}

/** Gives an app to a group: whoever comes and goes is marked from now on. Waits until those marked now are answered. */
async function giveApp(ground: Ground, group_id: string): Promise<void> {
  const tools = { key: benchKey(), check: checkConfig(true) };
  const app = await must(createApp(commandOf(ground.db), { label: "Handbook", kind: "none" }, tools));
  await must(assignGroups(commandOf(ground.db), app.id, [{ group_id }]));
  await untilClean(ground.db);
}

async function untilClean(db: Database): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ dirty: boolean }>`select exists (select from dirty) as dirty`.execute(db);
    if (!rows[0]?.dirty) return;
    await sleep(look_ms);
  }
}

async function repeated<T>(times: number, work: (n: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let n = 0; n < times; n++) all.push(await work(n));
  return all;
}

async function run(ground: Ground, { size, runs, say }: BenchOptions) {
  const { db } = ground;
  await insertPeople(db, size);
  const made = await makeRules(db);
  const best = await ceiling(db, made);
  say(`ceiling: ${best.seconds.toFixed(1)} s for ${best.rows} rows`);
  for (const id of made.rule_ids.values()) await must(activateRule(commandOf(db), id));
  const node = { stop: async () => {} };
  const first = await measure(ground, async () => {
    Object.assign(node, await startNode(ground, benchKey()));
    await untilEvaluated(db);
  });
  say(`first: ${first.seconds.toFixed(1)} s`);
  try {
    const grants = await countGrants(db);
    if (grants !== best.rows) throw new Error(`${grants} grants instead of ${best.rows}`);
    await serverAtRest(db);
    const again = () => evaluateAgain(commandOf(db)).then(() => untilEvaluated(db));
    const unchanged = await repeated(runs, () => measure(ground, again));
    say(`unchanged: ${unchanged.map((each) => each.seconds.toFixed(1)).join(", ")} s`);
    const change = async (expression: string) => {
      await must(updateRule(commandOf(db), made.rule_ids.get(moved.name) ?? "", { expression }));
      await untilEvaluated(db);
    };
    const before = rules.get(moved.name) ?? "";
    await serverAtRest(db);
    // There and back, so that it begins and ends as it was.
    const one = await repeated(2 * runs, (n) => measure(ground, () => change(n % 2 === 0 ? moved.expression : before)));
    say(`one rule: ${one.map((each) => each.seconds.toFixed(2)).join(", ")} s`);
    await serverAtRest(db);
    const waited = await movePeople(db, made);
    await giveApp(ground, made.group_ids.get(moved.name) ?? "");
    const marked = await measure(ground, () => change(moved.expression));
    const all = [first, ...unchanged, ...one];
    const middle = (some: readonly Metered<void>[]) => median(some.map((each) => each.seconds));
    return {
      ...{ size, rules: rules.size, grants, seconds: first.seconds, rate: (size * rules.size) / first.seconds },
      ...{ ceiling_rate: (size * rules.size) / best.seconds, ratio: best.seconds / first.seconds },
      ...{ first_s: first.seconds, unchanged_s: middle(unchanged), one_rule_s: middle(one) },
      ...{ one_person_ms: median(waited), one_person_p95_ms: percentile(waited, 0.95), marked_s: marked.seconds },
      ...{
        ceiling_s: best.seconds,
        one_rule_spread_s: spread(one.map((each) => each.seconds)),
        rss_peak_mb: Math.max(...all.map((each) => each.rss_peak_mb)),
      },
      ...{ cpu_node_s: first.cpu_node_s, cpu_postgres_s: first.cpu_postgres_s },
    };
  } finally {
    await node.stop();
  }
}

/** How long rules take over a company, over one changed rule, and over one person. */
export const bench: Bench = {
  name: "rules",
  about: "100 rules over N people: all of them new, nobody different, one rule changed, one person changed",
  default_size: 1_000_000,
  run,
};
