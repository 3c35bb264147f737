/**
 * Group rules made ready: rows checked against today's schema and groups, compiled once, put in order. Also the check
 * that runs after something a rule needs has gone: such a rule becomes INVALID and says why, and its people stay.
 *
 * Called by rules.ts, groups.ts and schemas.ts, and by the engine: `loadRules` for every batch of dirty users,
 * `loadCheckedRules` for an evaluation over everyone.
 */
import type { Selectable } from "kysely";
import { type Checked, checkExpression, type GroupFact } from "../core/expression/expression.ts";
import { orderRules, type ReadyRule } from "../core/rules.ts";
import type { GroupType, Profile, Refusal, Schema } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { RuleRow, Target } from "../store/tables.ts";
import { logAll, type Running } from "./command.ts";
import { closeGate } from "./gate.ts";
import { userSchema } from "./schemaQueries.ts";

/** A rule as stored. */
export type StoredRule = Selectable<RuleRow>;

/** What of a rule is judged. */
export type RuleDraft = Pick<StoredRule, "id" | "name" | "expression" | "group_ids"> &
  Partial<Pick<StoredRule, "groups_held">>;

/** A rule that was checked: its expression, and the groups it fills. `left`: those it filled before it became due. */
export type CheckedRule<Row extends RuleDraft = StoredRule> = Readonly<{
  row: Row;
  checked: Checked;
  ready: ReadyRule;
  left: readonly GroupFact[];
}>;

/** The rule as a target of an event. */
export const ruleTarget = (rule: Pick<StoredRule, "id" | "name">): Target => ({
  id: rule.id,
  type: "GroupRule",
  name: rule.name,
});

/** Checked expressions by text, for one version of the schema: a company has a few thousand rules. */
const checks = { schema: "", by_text: new Map<string, Checked | Refusal>() };
const checks_max = 5_000;

/** What of a schema an expression depends on, as text. A batch asks for each of its rules. */
const versions = new WeakMap<Schema, string>();

function versionOf(schema: Schema): string {
  const known = versions.get(schema);
  if (known !== undefined) return known;
  const attributes = schema.attributes.map(({ name, type, array }) => [name, type, array]);
  const version = JSON.stringify([attributes, schema.links]);
  versions.set(schema, version);
  return version;
}

/** The checked expression of a rule, or a refusal with line and column. */
export function checkRule(expression: string, schema: Schema): Checked | Refusal {
  const version = versionOf(schema);
  if (version !== checks.schema || checks.by_text.size >= checks_max) {
    checks.schema = version;
    checks.by_text.clear();
  }
  const known = checks.by_text.get(expression);
  if (known !== undefined) return known;
  const judged = checkExpression(expression, {
    context: "rule",
    user: schema.attributes,
    links: schema.links ?? [],
  });
  const result = "ok" in judged ? judged.ok : refusalOf(judged.problems);
  checks.by_text.set(expression, result);
  return result;
}

type Problems = readonly Readonly<{ message: string; line: number; column: number; hint?: string }>[];

function refusalOf(problems: Problems): Refusal {
  const told = problems.map(({ message, line, column, hint }) => {
    return `line ${line}, column ${column}: ${message}${hint === undefined ? "" : ` ${hint}`}`;
  });
  const [first] = problems;
  return {
    refused: `the expression cannot be used: ${told.join("; ")}`,
    code: "invalid",
    place: `expression, line ${first?.line ?? 1}, column ${first?.column ?? 1}`,
  };
}

type GroupFacts = { id: string; type: GroupType; profile: Profile };

/** Everything that rules are judged by, read at once. */
export type RuleGround = Readonly<{ schema: Schema; groups: ReadonlyMap<string, GroupFacts> }>;

/** The schema, and those of these groups that exist. */
export async function ruleGround(db: Database, schema: Schema, group_ids: readonly string[]): Promise<RuleGround> {
  const { rows } = await sql<GroupFacts>`
    select id, type, profile from groups where id = any(${[...new Set(group_ids)]}::text[])`.execute(db);
  return { schema, groups: new Map(rows.map((row) => [row.id, row])) };
}

/** The groups a rule needs to exist: those it fills and those its condition names by id. */
export function groupsOfRule(expression: string, group_ids: readonly string[], schema: Schema): readonly string[] {
  const checked = checkRule(expression, schema);
  return "refused" in checked ? group_ids : [...group_ids, ...(checked.dependencies.groups?.ids ?? [])];
}

/** The rule ready to run, or why it cannot: its expression, a group that is gone or not ours to fill. */
export function judgeRule<Row extends RuleDraft>(row: Row, ground: RuleGround): CheckedRule<Row> | Refusal {
  const checked = checkRule(row.expression, ground.schema);
  if ("refused" in checked) return checked;
  for (const id of checked.dependencies.groups?.ids ?? []) {
    if (!ground.groups.has(id)) {
      return {
        refused: `the condition names the group ${id}, which does not exist`,
        code: "invalid",
        place: "expression",
      };
    }
  }
  const targets: GroupFact[] = [];
  for (const id of row.group_ids) {
    const group = ground.groups.get(id);
    if (group === undefined) {
      return { refused: `the rule fills the group ${id}, which does not exist`, code: "invalid", place: "group_ids" };
    }
    const { name } = groupFact(group);
    if (group.type !== "OKTA_GROUP") {
      const why = group.type === "BUILT_IN" ? "holds everyone already" : "is filled by the app it comes from";
      return { refused: `a rule cannot fill ${name}: it ${why}`, code: "invalid", place: "group_ids" };
    }
    targets.push(groupFact(group));
  }
  const { groups, clock, people } = checked.dependencies;
  const reads = { reads: groups, clock, people: Object.keys(people).length > 0 };
  const ready = { id: row.id, name: row.name, targets, ...reads, test: compiled(checked) };
  const left = (row.groups_held ?? []).filter((id) => !row.group_ids.includes(id));
  const gone = left.flatMap((id) => ground.groups.get(id) ?? []);
  return { row, checked, ready, left: gone.map(groupFact) };
}

const groupFact = ({ id, type, profile }: GroupFacts): GroupFact => {
  return { id, name: String(profile["name"] ?? id), type, source_id: null, profile };
};

/** Closures of a checked expression, made once. */
const tests = new WeakMap<Checked, ReadyRule["test"]>();

function compiled(checked: Checked): ReadyRule["test"] {
  const made = tests.get(checked) ?? checked.compile().test;
  tests.set(checked, made);
  return made;
}

/** The rules with these statuses, judged; refusals by rule. */
async function judgeAll(db: Database, statuses: readonly StoredRule["status"][]) {
  const { rows } = await sql<StoredRule>`
    select * from rules where status = any(${[...statuses]}::text[]) order by id`.execute(db);
  const schema = await userSchema(db);
  const needed = rows.flatMap((row) => [
    ...groupsOfRule(row.expression, row.group_ids, schema),
    ...(row.due_at === null ? [] : row.groups_held),
  ]);
  const ground = rows.length === 0 ? { schema, groups: new Map() } : await ruleGround(db, schema, needed);
  const good: CheckedRule[] = [];
  const bad: { row: StoredRule; refusal: Refusal }[] = [];
  for (const row of rows) {
    const judged = judgeRule(row, ground);
    if ("refused" in judged) bad.push({ row, refusal: judged });
    else good.push(judged);
  }
  return { good, bad };
}

/**
 * The active rules, checked and in order. A rule that cannot run just now (its group is being deleted this moment) is
 * left out, and its grants stay as they are.
 */
export async function loadCheckedRules(db: Database): Promise<readonly CheckedRule[]> {
  const { good } = await judgeAll(db, ["ACTIVE"]);
  const checked = new Map(good.map((rule) => [rule.ready.id, rule]));
  let ready = good.map((rule) => rule.ready);
  for (;;) {
    const order = orderRules(ready);
    if ("ok" in order) return order.ok.flatMap((rule) => checked.get(rule.id) ?? []);
    const circle = new Set(order.cycle.map((rule) => rule.id));
    ready = ready.filter((rule) => !circle.has(rule.id));
  }
}

/** The active rules, ready and in order, for the engine's batches. */
export async function loadRules(db: Database): Promise<readonly ReadyRule[]> {
  return (await loadCheckedRules(db)).map((rule) => rule.ready);
}

/** The active rules with `changed` among them, if they can be put in order; else a refusal naming the circle. */
export async function judgeOrder(db: Database, changed: ReadyRule): Promise<Refusal | undefined> {
  const { good } = await judgeAll(db, ["ACTIVE"]);
  const others = good.map((rule) => rule.ready).filter((rule) => rule.id !== changed.id);
  const order = orderRules([...others, changed]);
  return "ok" in order ? undefined : { refused: circleText(order.cycle), code: "cycle", place: changed.id };
}

function circleText(cycle: readonly ReadyRule[]): string {
  const names = cycle.map((rule) => `"${rule.name}"`);
  if (names.length === 1) return `${names[0]} reads a group that it fills; read another group, or fill another`;
  return `these rules read each other's groups in a circle: ${names.join(" reads what is filled by ")}; break it at one of them`;
}

/**
 * Judges every rule again after a schema or group changed. Those that cannot run any more become INVALID with the
 * reason, and are logged; nobody loses a group by it.
 *
 * @param reason what happened, for the log.
 */
export async function recheckRules(running: Running, reason: string): Promise<void> {
  const { good, bad } = await judgeAll(running.db, ["ACTIVE", "INACTIVE"]);
  const broken = bad.map(({ row, refusal }) => ({ id: row.id, name: row.name, why: refusal.refused }));
  let active = good.filter(({ row }) => row.status === "ACTIVE").map(({ ready }) => ready);
  for (let order = orderRules(active); "cycle" in order; order = orderRules(active)) {
    const { cycle } = order;
    broken.push(...cycle.map(({ id, name }) => ({ id, name, why: circleText(cycle) })));
    active = active.filter((rule) => !cycle.includes(rule));
  }
  if (broken.length === 0) return;
  await sql`
    update rules r set status = 'INVALID', invalid_reason = b.why, due_at = null, revision = r.revision + 1,
      updated_at = ${running.now()}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(broken)}::jsonb) as b(id text, why text) where r.id = b.id`.execute(
    running.db,
  );
  await closeGate(running);
  await logAll(
    running,
    broken.map((rule) => ({
      type: "group.user_membership.rule.invalidate",
      severity: "WARN" as const,
      targets: [ruleTarget(rule)],
      reason,
      detail: { why: rule.why },
    })),
  );
}
