/**
 * Commands on group rules (okta-lifecycle 6.2): conditions that put people in groups and take them out again. Unlike
 * Okta, a rule can be changed while it is active, groups included, and rules may build on each other as long as no circle
 * comes of it.
 *
 * Laws: a rule begins inactive. Activating or changing one makes it due (ruleDue.ts) and nothing else; the engine does the
 * rest. A deactivated or invalid rule keeps the people it put in groups, untouched, until it is
 * activated again or deleted (scenario 7).
 *
 * Called by the API and console; the engine takes `loadRules` from here. Checking and loading is ruleChecks.ts,
 * exceptions are ruleExceptions.ts.
 */
import type { Refusal } from "../core/types.ts";
import { type Database, isRefusal, sql } from "../store/database.ts";
import { type Command, log, priority, type Running, run } from "./command.ts";
import { closeGate } from "./gate.ts";
import { lockPeople } from "./locks.ts";
import { markDirtyWhere } from "./marks.ts";
import { endGrantsOfRule } from "./memberships.ts";
import {
  type CheckedRule,
  groupsOfRule,
  judgeOrder,
  judgeRule,
  type RuleDraft,
  ruleGround,
  ruleTarget,
  type StoredRule,
} from "./ruleChecks.ts";
import { grantsOfRule, markRulesDue } from "./ruleDue.ts";
import { putExceptions } from "./ruleExceptions.ts";
import { conditionSql } from "./ruleSql.ts";
import { userSchema } from "./schemaQueries.ts";
import { readSetting } from "./settings.ts";

/** A rule to create; it begins inactive. `excluded`: users it never touches. */
export type NewRule = Readonly<{
  name: string;
  expression: string;
  group_ids: readonly string[];
  excluded?: readonly string[];
}>;

/** What to change of a rule; what is absent stays. */
export type RuleChange = Readonly<{ name?: string; expression?: string; group_ids?: readonly string[] }>;

export { loadRules, type StoredRule } from "./ruleChecks.ts";
export { evaluateAgain } from "./ruleDue.ts";
export { addExceptions, expireExceptions, listExceptions, removeExceptions } from "./ruleExceptions.ts";

const name_max = 100;
const targets_max = 1_000;

/** Creates an inactive rule, or refuses with line and column of what is wrong in its expression. */
export function createRule(command: Command, input: NewRule): Promise<StoredRule | Refusal> {
  return run<StoredRule>(command, async (running) => {
    await lockRules(running);
    const now = running.now();
    const judged = await judge(running, { id: "", ...input, group_ids: [...new Set(input.group_ids)] });
    if (isRefusal(judged)) return judged;
    const { name, expression, group_ids } = judged.row;
    const { rows } = await sql<StoredRule>`
      insert into rules (name, expression, group_ids, groups_held, created_at, updated_at)
      values (${name}, ${expression}, ${group_ids}::text[], ${group_ids}::text[], ${now}::timestamptz, ${now}::timestamptz)
      on conflict (name) do nothing returning *`.execute(running.db);
    const rule = rows[0];
    if (rule === undefined) return nameTaken(name);
    await log(running, {
      type: "group_rule.lifecycle.create",
      targets: [ruleTarget(rule)],
      detail: { expression, group_ids },
    });
    const refused = await putExceptions(
      running,
      rule,
      (input.excluded ?? []).map((user_id) => ({ user_id })),
    );
    return refused ?? rule;
  });
}

/**
 * Changes a rule, active or not. An active rule is evaluated over everyone again; an invalid one that is mended
 * becomes inactive.
 */
export function updateRule(command: Command, id: string, change: RuleChange): Promise<StoredRule | Refusal> {
  return run<StoredRule>(command, async (running) => {
    await lockRules(running);
    const before = await getRule(running.db, id);
    if (before === undefined) return noSuchRule(id);
    const group_ids = [...new Set(change.group_ids ?? before.group_ids)];
    const judged = await judge(running, { ...before, ...change, group_ids });
    if (isRefusal(judged)) return judged;
    const { row } = judged;
    const circle = row.status === "ACTIVE" ? await judgeOrder(running.db, judged.ready) : undefined;
    if (circle) return circle;
    const clash = await running.db
      .selectFrom("rules")
      .select("id")
      .where("name", "=", row.name)
      .where("id", "<>", id)
      .executeTakeFirst();
    if (clash) return nameTaken(row.name);
    const changes = changesOf(before, row);
    if (Object.keys(changes).length === 0 && before.status !== "INVALID") return before;
    const { rows } = await sql<StoredRule>`
      update rules set name = ${row.name}, expression = ${row.expression}, group_ids = ${group_ids}::text[],
        groups_held = array(select unnest(groups_held) union select unnest(${group_ids}::text[])),
        status = case status when 'INVALID' then 'INACTIVE' else status end, invalid_reason = null,
        updated_at = ${running.now()}::timestamptz
      where id = ${id} returning *`.execute(running.db);
    const rule = rows[0] ?? before;
    const cause = await log(running, {
      type: "group_rule.lifecycle.update",
      targets: [ruleTarget(rule)],
      detail: changes,
    });
    const moved = "expression" in changes || "group_ids" in changes;
    if (rule.status === "ACTIVE" && moved) await markRulesDue(running, [id], cause);
    return rule;
  });
}

function changesOf(before: StoredRule, after: StoredRule) {
  const all = {
    name: { before: before.name, after: after.name },
    expression: { before: before.expression, after: after.expression },
    group_ids: { before: before.group_ids, after: after.group_ids },
  };
  return Object.fromEntries(Object.entries(all).filter(([, { before: b, after: a }]) => String(b) !== String(a)));
}

/** Lets a rule act: it is evaluated over everyone. Activating an active rule changes nothing. */
export function activateRule(command: Command, id: string): Promise<StoredRule | Refusal> {
  return run<StoredRule>(command, async (running) => {
    await lockRules(running);
    const before = await getRule(running.db, id);
    if (before === undefined) return noSuchRule(id);
    if (before.status === "ACTIVE") return before;
    const judged = await judge(running, before);
    if (isRefusal(judged)) return { ...judged, refused: `"${before.name}" cannot be activated: ${judged.refused}` };
    const circle = await judgeOrder(running.db, judged.ready);
    if (circle) return circle;
    const rule = await setStatus(running, before, "ACTIVE");
    const cause = await log(running, {
      type: "group.user_membership.rule.trigger",
      targets: [ruleTarget(rule)],
      detail: { expression: rule.expression, group_ids: rule.group_ids },
    });
    await markRulesDue(running, [id], cause);
    return rule;
  });
}

/** Stops a rule. The people it put in groups stay there. */
export function deactivateRule(command: Command, id: string): Promise<StoredRule | Refusal> {
  return run<StoredRule>(command, async (running) => {
    await lockRules(running);
    const before = await getRule(running.db, id);
    if (before === undefined) return noSuchRule(id);
    if (before.status !== "ACTIVE") return before;
    const rule = await setStatus(running, before, "INACTIVE");
    await log(running, { type: "group.user_membership.rule.deactivated", targets: [ruleTarget(rule)] });
    await closeGate(running);
    return rule;
  });
}

/**
 * Deletes a rule, active or not, as Okta's removeUsers says: with `remove_users` the grants it gave end (whoever has
 * another grant stays in the group); without, they become grants of the one who deletes it.
 */
export function deleteRule(
  command: Command,
  id: string,
  options: Readonly<{ remove_users?: boolean }> = {},
): Promise<StoredRule | Refusal> {
  return run<StoredRule>(command, async (running) => {
    await lockRules(running);
    const rule = await getRule(running.db, id);
    if (rule === undefined) return noSuchRule(id);
    const remove_users = options.remove_users ?? false;
    const cause = await log(running, {
      type: "group_rule.lifecycle.delete",
      targets: [ruleTarget(rule)],
      detail: { remove_users, expression: rule.expression, group_ids: rule.group_ids },
    });
    const caused: Running = { ...running, cause };
    if (remove_users) await endGrantsOfRule(caused, rule, `rule "${rule.name}" was deleted`);
    else await keepMembers(caused, rule);
    await sql`delete from rules where id = ${id}`.execute(running.db);
    return rule;
  });
}

/**
 * Turns a rule's grants into grants by hand; whoever has one already keeps that one. Under the locks of its people: who is
 * taken out of the group meanwhile is taken out before or after, and stays out.
 */
async function keepMembers(running: Running, rule: StoredRule): Promise<void> {
  const lockHolders = async () => {
    const { rows } = await sql<{ user_id: string }>`
      select distinct m.user_id from membership_grants m where ${grantsOfRule(rule)}`.execute(running.db);
    await lockPeople(
      running.db,
      rows.map(({ user_id }) => user_id),
    );
  };
  const given = sql`u.id in (select m.user_id from membership_grants m where ${grantsOfRule(rule)})`;
  await lockHolders();
  // Closes the gate as well: nobody gives by this rule any more.
  await markDirtyWhere(running, given, priority.wave, running.cause ?? null);
  // Whom it was given before the gate was closed.
  await lockHolders();
  const by = running.actor.id;
  await sql`
    update membership_grants m set kind = 'person', source_id = ${by},
      reason = ${`kept when rule "${rule.name}" was deleted`}, cause = ${running.cause ?? null}::bigint
    where ${grantsOfRule(rule)} and not exists (
      select from membership_grants h
      where h.user_id = m.user_id and h.group_id = m.group_id and h.kind = 'person' and h.source_id = ${by})`.execute(
    running.db,
  );
  await sql`delete from membership_grants m where ${grantsOfRule(rule)}`.execute(running.db);
}

/** The rule with this id. */
export async function getRule(db: Database, id: string): Promise<StoredRule | undefined> {
  return db.selectFrom("rules").selectAll().where("id", "=", id).executeTakeFirst();
}

/** A page of rules in order of id. `q`: part of the name, in any case. */
export async function listRules(
  db: Database,
  page: Readonly<{ limit: number; after?: string; q?: string }>,
): Promise<readonly StoredRule[]> {
  const { rows } = await sql<StoredRule>`
    select * from rules
    where id > ${page.after ?? ""} and strpos(lower(name), lower(${page.q ?? ""})) > 0
    order by id limit ${page.limit}`.execute(db);
  return rows;
}

/** What a rule would do to the people of today, by its condition alone. */
export type RulePreview = Readonly<{
  matching: number;
  /** People who are not in all of its groups yet, by whatever grant, and the first of them by login. */
  joining: number;
  joining_logins: readonly string[];
  /** People who are in a group by this rule alone, and would not be by it any more. */
  leaving: number;
  leaving_logins: readonly string[];
}>;

const preview_names = 20;

/**
 * Counts whom a rule would add and remove, without changing anything. Only for conditions with an exact SQL form; for
 * others, preview people one by one.
 *
 * @param id the rule that exists already, or null for a new one.
 * @param input `exclude`: ids of those whom it is to leave alone for good, as Okta's PUT has them; without it whom it does
 *   now. Whom it leaves alone until a day, it does in any case.
 */
export async function previewRule(
  command: Command,
  id: string | null,
  input: Readonly<{ expression: string; group_ids: readonly string[]; exclude?: readonly string[] | undefined }>,
): Promise<RulePreview | Refusal> {
  const now = command.now();
  const { expression, group_ids, exclude } = input;
  const row = { expression, name: "preview", id: id ?? "", group_ids: [...group_ids] };
  const judged = await judge(command, row);
  if (isRefusal(judged)) return judged;
  const org = await readSetting(command.db, "org");
  const matches = conditionSql(judged.checked, { now, org });
  if (matches === undefined) {
    return {
      refused: "this condition can only be judged person by person; preview it for some people",
      code: "unavailable",
      place: "expression",
    };
  }
  const lasting = exclude === undefined ? sql`x.expires_at is null` : sql`false`;
  const excluded = sql`(u.id = any(${[...(exclude ?? [])]}::text[]) or exists (select from rule_exceptions x
    where x.rule_id = ${row.id} and x.user_id = u.id and (${lasting} or x.expires_at > ${now}::timestamptz)))`;
  const names = sql.lit(preview_names);
  const { rows } = await sql<RulePreview>`
    with judged as (
      select u.id, u.login, ${matches} is true and not ${excluded} as matches
      from users u where u.status <> 'DEPROVISIONED'
    ), moved as (
      select login, matches,
        matches and exists (select from unnest(${row.group_ids}::text[]) as t(group_id) where not exists (
          select from membership_grants m where m.user_id = judged.id and m.group_id = t.group_id)) as joins,
        exists (select from membership_grants m
          where m.user_id = judged.id and m.kind = 'rule' and m.source_id = ${row.id}
            and not (matches and m.group_id = any(${row.group_ids}::text[])) and not exists (
              select from membership_grants o where o.user_id = m.user_id and o.group_id = m.group_id and o.id <> m.id)) as leaves
      from judged
    )
    select count(*) filter (where matches)::int as matching,
      count(*) filter (where joins)::int as joining,
      coalesce((array_agg(login order by login) filter (where joins))[1:${names}], '{}') as joining_logins,
      count(*) filter (where leaves)::int as leaving,
      coalesce((array_agg(login order by login) filter (where leaves))[1:${names}], '{}') as leaving_logins
    from moved`.execute(command.db);
  const [preview] = rows;
  return preview ?? { matching: 0, joining: 0, joining_logins: [], leaving: 0, leaving_logins: [] };
}

/** Commands on rules are rare and judge all rules together: one at a time. Readers and grants are not held up. */
async function lockRules(running: Running): Promise<void> {
  await sql`lock table rules in share row exclusive mode`.execute(running.db);
}

/** The rule checked against today's schema and groups, and its own limits. */
async function judge<Row extends RuleDraft>(
  command: Pick<Command, "db">,
  row: Row,
): Promise<CheckedRule<Row> | Refusal> {
  const name = row.name.trim();
  if (name === "" || name.length > name_max) {
    return { refused: `a rule needs a name of 1 to ${name_max} characters`, code: "invalid", place: "name" };
  }
  if (row.group_ids.length === 0 || row.group_ids.length > targets_max) {
    return { refused: `"${name}" must fill 1 to ${targets_max} groups`, code: "invalid", place: "group_ids" };
  }
  const schema = await userSchema(command.db);
  const ground = await ruleGround(command.db, schema, groupsOfRule(row.expression, row.group_ids, schema));
  return judgeRule({ ...row, name }, ground);
}

async function setStatus(running: Running, rule: StoredRule, status: "ACTIVE" | "INACTIVE"): Promise<StoredRule> {
  const { rows } = await sql<StoredRule>`
    update rules set status = ${status}, invalid_reason = null, updated_at = ${running.now()}::timestamptz,
      due_at = null, revision = revision + 1
    where id = ${rule.id} returning *`.execute(running.db);
  return rows[0] ?? rule;
}

function noSuchRule(id: string): Refusal {
  return { refused: `there is no group rule ${id}; it may have been deleted`, code: "not_found", place: id };
}

function nameTaken(name: string): Refusal {
  return { refused: `there is a group rule "${name}" already; choose another name`, code: "duplicate", place: "name" };
}
