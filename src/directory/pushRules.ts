/**
 * Push rules: a condition over groups that says which of them are pushed to an app. Any expression over the group's id,
 * type and attributes, with no cap on how many match. A group that comes to match is pushed; one that no longer does is
 * let go: its push stops, the app's group stays, and it goes on where it was when the rule matches again.
 *
 * Laws: what was pushed by name is nobody's business here; of several rules of an app the oldest that matches has the
 * group; a condition that cannot be decided for a group changes nothing for it and raises a task.
 *
 * `refreshPushRules` is called whenever groups are made or changed; `applyPushRules` also by the engine's schedule.
 */
import { type Selectable, sql } from "kysely";
import { type Checked, type Compiled, checkExpression, type Facts } from "../core/expression/expression.ts";
import type { GroupType, Profile, Refusal } from "../core/types.ts";
import { type Database, violatedUnique } from "../store/database.ts";
import type { Tables, Target } from "../store/tables.ts";
import type { AppTools } from "./apps.ts";
import { type Command, log, type Running, run } from "./command.ts";
import { follow, pushTarget, unlinkPushes, unmatched } from "./pushes.ts";
import { groupSchema } from "./schemaQueries.ts";
import { closeTasksFor, raiseTasks } from "./tasks.ts";

export type PushRule = Selectable<Tables["push_rules"]>;

/** How many pushes began, went on again, and were let go. */
export type PushRuleEffect = Readonly<{ began: number; resumed: number; let_go: number }>;

const target = (rule: Pick<PushRule, "id" | "name">): Target => ({ id: rule.id, type: "GroupPush", name: rule.name });
const missing = (id: string): Refusal => ({ refused: `there is no push rule ${id.slice(0, 100)}`, code: "not_found" });

/** Makes a rule and applies it at once. Refuses an expression with line and column, and an app without groups. */
export function createPushRule(
  command: Command,
  input: Readonly<{ app_id: string; name: string; expression: string; active?: boolean }>,
  tools: AppTools,
): Promise<Readonly<{ rule: PushRule; effect: PushRuleEffect }> | Refusal> {
  return unlessTaken(input.name, () =>
    run<Readonly<{ rule: PushRule; effect: PushRuleEffect }>>(command, async (running) => {
      const app = await pushTarget(running, input.app_id, tools);
      if ("refused" in app) return app;
      const refused = nameProblem(input.name) ?? (await expressionProblem(running.db, input.expression));
      if (refused) return refused;
      const now = running.now();
      const rule = await running.db
        .insertInto("push_rules")
        .values({
          app_id: app.id,
          name: input.name,
          expression: input.expression,
          status: input.active === false ? "INACTIVE" : "ACTIVE",
          created_at: now,
          updated_at: now,
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      return settle(running, rule, "create");
    }),
  );
}

/** Changes a rule and applies it at once. A rule that is switched off changes nothing of what it pushed. */
export function updatePushRule(
  command: Command,
  id: string,
  change: Readonly<{ name?: string; expression?: string; status?: PushRule["status"] }>,
): Promise<Readonly<{ rule: PushRule; effect: PushRuleEffect }> | Refusal> {
  return unlessTaken(change.name ?? "", () =>
    run<Readonly<{ rule: PushRule; effect: PushRuleEffect }>>(command, async (running) => {
      const before = await running.db
        .selectFrom("push_rules")
        .selectAll()
        .where("id", "=", id)
        .forUpdate()
        .executeTakeFirst();
      if (before === undefined) return missing(id);
      const { name = before.name, expression = before.expression, status = before.status } = change;
      const refused =
        nameProblem(name) ??
        (change.expression === undefined ? undefined : await expressionProblem(running.db, expression));
      if (refused) return refused;
      const rule = await running.db
        .updateTable("push_rules")
        .set({ name, expression, status, updated_at: running.now() })
        .where("id", "=", id)
        .returningAll()
        .executeTakeFirstOrThrow();
      return settle(running, rule, "update");
    }),
  );
}

async function settle(running: Running, rule: PushRule, what: "create" | "update") {
  const seq = await log(running, {
    type: `application.push_rule.${what}`,
    app_id: rule.app_id,
    targets: [target(rule)],
    detail: { expression: rule.expression, status: rule.status },
  });
  return { rule, effect: await apply({ ...running, cause: seq }, { app_id: rule.app_id }) };
}

/**
 * Deletes a rule. What it pushed goes on as pushed by name (`keep`), or ends with the app's groups left or deleted
 * (scenario 16). Gives how many pushes that concerned.
 */
export function deletePushRule(
  command: Command,
  id: string,
  pushes: "keep" | "leave" | "delete",
): Promise<number | Refusal> {
  return run<number>(command, async (running) => {
    const rule = await running.db
      .selectFrom("push_rules")
      .selectAll()
      .where("id", "=", id)
      .forUpdate()
      .executeTakeFirst();
    if (rule === undefined) return missing(id);
    const held = await running.db
      .selectFrom("pushed_groups")
      .select("id")
      .where("push_rule_id", "=", id)
      .orderBy("id")
      .execute();
    const type =
      pushes === "delete"
        ? "application.provision.group_push.mapping.and.groups.deleted.rule.deleted"
        : "application.push_rule.delete";
    const seq = await log(running, {
      type,
      app_id: rule.app_id,
      targets: [target(rule)],
      detail: { pushes, count: held.length },
    });
    if (pushes !== "keep") {
      const ended = await unlinkPushes(
        { ...running, cause: seq },
        held.map((push) => push.id),
        pushes,
      );
      if ("refused" in ended) return ended;
    }
    await running.db.deleteFrom("push_rules").where("id", "=", id).execute();
    await closeTasksFor(running, { dedupe: [dedupeOf(rule)], note: "the rule was deleted" });
    return held.length;
  });
}

/** Applies the rules of an app, or of all, to all groups. */
export function applyPushRules(
  command: Command,
  only: Readonly<{ app_id?: string }> = {},
): Promise<PushRuleEffect | Refusal> {
  return run<PushRuleEffect>(command, (running) => apply(running, only));
}

/** Applies all rules to groups that were made or changed; in their command's own transaction. */
export async function refreshPushRules(running: Running, group_ids: readonly string[]): Promise<void> {
  if (group_ids.length > 0) await apply(running, { group_ids });
}

type Scope = Readonly<{ app_id?: string; group_ids?: readonly string[] }>;
type ReadyRule = Readonly<{ rule: PushRule; compiled: Compiled }>;
type GroupFacts = Readonly<{ id: string; type: GroupType; profile: Profile; source_app_id: string | null }>;

const nothing: PushRuleEffect = { began: 0, resumed: 0, let_go: 0 };

async function apply(running: Running, scope: Scope): Promise<PushRuleEffect> {
  const { rows: rules } = await sql<PushRule>`
    select * from push_rules where status = 'ACTIVE'
      ${scope.app_id === undefined ? sql`` : sql`and app_id = ${scope.app_id}`}
    order by id for share`.execute(running.db);
  if (rules.length === 0) return nothing;
  const ready = await prepare(running, rules);
  const groups = await loadGroups(running.db, scope.group_ids);
  let total = nothing;
  for (const [app_id, some] of Map.groupBy(ready, ({ rule }) => rule.app_id)) {
    const effect = await settleApp(running, app_id, decide(running, some, groups));
    total = {
      began: total.began + effect.began,
      resumed: total.resumed + effect.resumed,
      let_go: total.let_go + effect.let_go,
    };
  }
  return total;
}

/** Compiles rules. One that no longer fits the schema of groups is left out, what it pushes goes on, and a task says so. */
async function prepare(running: Running, rules: readonly PushRule[]): Promise<readonly ReadyRule[]> {
  const attributes = (await groupSchema(running.db)).attributes;
  const ready: ReadyRule[] = [];
  const broken: Readonly<{ rule: PushRule; message: string }>[] = [];
  for (const rule of rules) {
    const checked = checkExpression(rule.expression, { context: "push_rule", group: attributes });
    if ("ok" in checked) ready.push({ rule, compiled: checked.ok.compile() });
    else broken.push({ rule, message: describe(checked) });
  }
  await raiseTasks(
    running,
    broken.map(({ rule, message }) => taskOf(rule, `the push rule ${rule.name} can no longer be read`, message)),
  );
  return ready;
}

/** Whose a group is: for each group the oldest rule that matches, or null; a group that could not be judged is left out. */
type Decision = Readonly<{ group_id: string; rule_id: string | null }>;
type Decided = Readonly<{
  decisions: readonly Decision[];
  rule_ids: readonly string[];
  failed: ReadonlyMap<PushRule, string>;
  fine: readonly PushRule[];
}>;

function decide(running: Running, rules: readonly ReadyRule[], groups: readonly GroupFacts[]): Decided {
  const decisions: Decision[] = [];
  const failed = new Map<PushRule, string>();
  for (const group of groups) {
    const app_id = rules[0]?.rule.app_id;
    if (group.source_app_id === app_id) continue;
    const facts = factsOf(group, running.now());
    let owner: string | null = null;
    let undecided = false;
    for (const { rule, compiled } of rules) {
      const answer = compiled.test(facts);
      if (typeof answer === "object") {
        failed.set(rule, `for the group ${String(group.profile["name"])}: ${answer.error}`);
        undecided = true;
      } else if (answer) {
        owner ??= rule.id;
      }
    }
    if (owner !== null || !undecided) decisions.push({ group_id: group.id, rule_id: owner });
  }
  const fine = rules.map(({ rule }) => rule).filter((rule) => !failed.has(rule));
  return { decisions, rule_ids: rules.map(({ rule }) => rule.id), failed, fine };
}

/**
 * Three statements: let go, go on, begin. Pushes by name, paused by hand or being unlinked stay as they are. A push that
 * is let go loses its claim, or the confirm under way would overwrite why it stopped.
 */
async function settleApp(running: Running, app_id: string, decided: Decided): Promise<PushRuleEffect> {
  const now = running.now();
  const lines = sql`jsonb_to_recordset(${JSON.stringify(decided.decisions)}::jsonb) as d(group_id text, rule_id text)`;
  const names = sql`join groups g on g.id = p.group_id join apps a on a.id = p.app_id order by p.id`;
  const columns = sql`p.id, p.app_id, p.group_id, g.profile->>'name' as group_name, a.label as app_label`;
  type Row = Readonly<{ id: string; app_id: string; group_id: string; group_name: string; app_label: string }>;
  await sql`
    select p.id from pushed_groups p join ${lines} on d.group_id = p.group_id
    where p.app_id = ${app_id} order by p.id for update of p`.execute(running.db);
  const gone = await sql<Row>`
    with moved as (
      update pushed_groups p set status = 'INACTIVE', due_at = null, error = ${unmatched}, fault = null,
        claimed_by = null, claimed_until = null,
        generation = p.generation + 1, updated_at = ${now}::timestamptz
      from ${lines}
      where p.app_id = ${app_id} and p.group_id = d.group_id and d.rule_id is null and p.unlinking is null
        and p.push_rule_id = any(${[...decided.rule_ids]}::text[]) and p.status = 'ACTIVE'
      returning p.*)
    select ${columns} from moved p ${names}`.execute(running.db);
  const back = await sql<Row & { resumed: boolean }>`
    with before as (
      select p.id, p.error is not distinct from ${unmatched} and p.status = 'INACTIVE' as resumed, d.rule_id
      from pushed_groups p join ${lines} on d.group_id = p.group_id
      where p.app_id = ${app_id} and p.push_rule_id is not null and d.rule_id is not null and p.unlinking is null
    ), moved as (
      update pushed_groups p set push_rule_id = b.rule_id, updated_at = ${now}::timestamptz,
        status = case when b.resumed then 'ACTIVE' else p.status end,
        error = case when b.resumed then null else p.error end,
        attempts = case when b.resumed then 0 else p.attempts end,
        full_check = p.full_check or b.resumed,
        generation = p.generation + b.resumed::int,
        due_at = case when b.resumed then ${now}::timestamptz else p.due_at end
      from before b where p.id = b.id and (b.resumed or p.push_rule_id <> b.rule_id)
      returning p.*, b.resumed)
    select ${columns}, p.resumed from moved p ${names}`.execute(running.db);
  const begun = await sql<Row>`
    with made as (
      insert into pushed_groups (app_id, group_id, push_rule_id, mode, due_at, cause, created_at, updated_at)
      select ${app_id}, d.group_id, d.rule_id, 'create', ${now}::timestamptz, ${running.cause ?? null}::bigint,
             ${now}::timestamptz, ${now}::timestamptz
      from ${lines} where d.rule_id is not null order by d.group_id
      on conflict (app_id, group_id) do nothing
      returning *)
    select ${columns} from made p ${names}`.execute(running.db);
  const resumed = back.rows.filter((row) => row.resumed);
  await follow(running, "mapping.deactivated.source.group.renamed", gone.rows, unmatched);
  await follow(running, "activate_mapping", resumed, "the group matches its push rule again");
  await follow(running, "mapping.created", begun.rows, "by push rule");
  await tellFailures(running, decided);
  return { began: begun.rows.length, resumed: resumed.length, let_go: gone.rows.length };
}

async function tellFailures(running: Running, { failed, fine }: Decided): Promise<void> {
  await raiseTasks(
    running,
    [...failed].map(([rule, message]) =>
      taskOf(rule, `the push rule ${rule.name} cannot be decided for a group`, message),
    ),
  );
  if (fine.length > 0)
    await closeTasksFor(running, { dedupe: fine.map(dedupeOf), note: "the rule can be decided again" });
}

const dedupeOf = (rule: Pick<PushRule, "id">) => `push_rule:${rule.id}`;
const taskOf = (rule: PushRule, title: string, message: string) =>
  ({
    kind: "push_rule_error",
    title,
    dedupe: dedupeOf(rule),
    app_id: rule.app_id,
    detail: { message, rule: rule.id },
  }) as const;

function factsOf(group: GroupFacts, now: Date): Facts {
  // A push rule cannot name a user: the checker refuses it. The fields are there because the type asks.
  return { user: {}, user_id: "", user_status: "ACTIVE", groups: [], group, now, time_zone: "UTC" };
}

async function loadGroups(db: Database, ids?: readonly string[]): Promise<readonly GroupFacts[]> {
  const { rows } = await sql<GroupFacts>`
    select id, type, profile, source_app_id from groups
    ${ids === undefined ? sql`` : sql`where id = any(${[...ids]}::text[])`} order by id`.execute(db);
  return rows;
}

/** What a rule would match, before it is saved: at most `limit` groups by name, and how many there are. */
export type PushRulePreview = Readonly<{
  matches: number;
  groups: readonly Readonly<{ id: string; name: string }>[];
  errors: readonly string[];
}>;

/** Tries an expression on all groups for one app, or refuses it with line and column. Changes nothing. */
export async function previewPushRule(
  db: Database,
  app_id: string,
  expression: string,
  now: Date,
  limit = 200,
): Promise<PushRulePreview | Refusal> {
  const checked = await checkRule(db, expression);
  if ("refused" in checked) return checked;
  const compiled = checked.compile();
  const matching: { id: string; name: string }[] = [];
  const errors: string[] = [];
  for (const group of await loadGroups(db)) {
    if (group.source_app_id === app_id) continue;
    const name = String(group.profile["name"]);
    const answer = compiled.test(factsOf(group, now));
    if (answer === true) matching.push({ id: group.id, name });
    else if (typeof answer === "object" && errors.length < limit) errors.push(`${name}: ${answer.error}`);
  }
  const groups = matching.toSorted((a, b) => (a.name < b.name ? -1 : 1)).slice(0, limit);
  return { matches: matching.length, groups, errors };
}

/** A rule by id. */
export function readPushRule(db: Database, id: string): Promise<PushRule | undefined> {
  return db.selectFrom("push_rules").selectAll().where("id", "=", id).executeTakeFirst();
}

/** The rules of an app, or all, the oldest first. */
export function listPushRules(db: Database, app_id?: string): Promise<PushRule[]> {
  return db
    .selectFrom("push_rules")
    .selectAll()
    .$if(app_id !== undefined, (query) => query.where("app_id", "=", app_id ?? ""))
    .orderBy("id")
    .execute();
}

async function checkRule(db: Database, expression: string): Promise<Checked | Refusal> {
  const checked = checkExpression(expression, { context: "push_rule", group: (await groupSchema(db)).attributes });
  return "ok" in checked ? checked.ok : { refused: describe(checked), code: "invalid", place: "expression" };
}

async function expressionProblem(db: Database, expression: string): Promise<Refusal | undefined> {
  const checked = await checkRule(db, expression);
  return "refused" in checked ? checked : undefined;
}

function describe({ problems }: Exclude<ReturnType<typeof checkExpression>, { ok: unknown }>): string {
  return problems
    .map(({ line, column, message, hint }) => `line ${line}, column ${column}: ${message}${hint ? ` ${hint}` : ""}`)
    .join("\n");
}

function nameProblem(name: string): Refusal | undefined {
  if (name.trim() !== "" && name.length <= 100) return undefined;
  return { refused: "a push rule needs a name of 1 to 100 characters", code: "invalid", place: "name" };
}

async function unlessTaken<T>(name: string, work: () => Promise<T | Refusal>): Promise<T | Refusal> {
  try {
    return await work();
  } catch (error) {
    if (violatedUnique(error) !== "push_rules_app_id_name_key") throw error;
    return {
      refused: `this app has a push rule "${name}" already: choose another name`,
      code: "duplicate",
      place: "name",
    };
  }
}
