/**
 * Exceptions of group rules: people whom a rule gives nothing, because someone said so or took them out of a group by
 * hand (memberships.ts). An exception has a reason, who made it, and may have an end; clearing it lets the rule decide
 * again (scenario 6). There is no limit of a hundred. Exceptions change under the person's lock (locks.ts).
 *
 * Called by the API and console, rules.ts at creation, and the schedule (`expireExceptions`).
 */
import type { Selectable } from "kysely";
import type { Refusal } from "../core/types.ts";
import { type Database, isRefusal, sql } from "../store/database.ts";
import type { RuleExceptionRow } from "../store/tables.ts";
import { type Command, logAll, type Running, run } from "./command.ts";
import { lockPeople } from "./locks.ts";
import { markDirtyEach } from "./marks.ts";
import { ruleTarget, type StoredRule } from "./ruleChecks.ts";

/** A person to except. */
export type NewException = Readonly<{ user_id: string; reason?: string | null; expires_at?: Date | null }>;

/** An exception with the login of its person. */
export type StoredException = Readonly<Selectable<RuleExceptionRow> & { login: string }>;

/** Excepts people from a rule; those already excepted take the new reason and end. */
export function addExceptions(
  command: Command,
  rule_id: string,
  exceptions: readonly NewException[],
): Promise<readonly StoredException[] | Refusal> {
  return run(command, async (running) => {
    const rule = await findRule(running.db, rule_id);
    if (isRefusal(rule)) return rule;
    const refused = await putExceptions(running, rule, exceptions);
    return (
      refused ??
      exceptionsOf(
        running.db,
        rule_id,
        exceptions.map(({ user_id }) => user_id),
      )
    );
  });
}

/** Lets the rule decide about these people again. Those who were not excepted are no error. Gives how many were. */
export function removeExceptions(
  command: Command,
  rule_id: string,
  user_ids: readonly string[],
): Promise<Readonly<{ removed: number }> | Refusal> {
  return run(command, async (running) => {
    const rule = await findRule(running.db, rule_id);
    if (isRefusal(rule)) return rule;
    await lockPeople(running.db, user_ids);
    const { rows } = await sql<Gone>`
      with gone as (
        delete from rule_exceptions where rule_id = ${rule_id} and user_id = any(${[...user_ids]}::text[]) returning *)
      select gone.user_id, u.login, ${rule_id} as rule_id, ${rule.name}::text as name
      from gone join users u on u.id = gone.user_id order by gone.user_id`.execute(running.db);
    await followRemoval(running, rows, "the exception was cleared");
    return { removed: rows.length };
  });
}

/** Ends exceptions whose time is over, at most `limit`. Gives how many ended. */
export async function expireExceptions(command: Command, now: Date, limit: number): Promise<number> {
  const ended = await run<{ count: number }>(command, async (running) => {
    const { rows: over } = await sql<{ id: number; user_id: string }>`
      select id, user_id from rule_exceptions where expires_at <= ${now}::timestamptz
      order by expires_at limit ${limit}`.execute(running.db);
    await lockPeople(
      running.db,
      over.map(({ user_id }) => user_id),
    );
    const { rows } = await sql<Gone>`
      with gone as (
        delete from rule_exceptions
        where id = any(${over.map(({ id }) => id)}::bigint[]) and expires_at <= ${now}::timestamptz returning *)
      select gone.user_id, u.login, r.id as rule_id, r.name
      from gone join users u on u.id = gone.user_id join rules r on r.id = gone.rule_id order by gone.user_id`.execute(
      running.db,
    );
    await followRemoval(running, rows, "the exception expired");
    return { count: rows.length };
  });
  return isRefusal(ended) ? 0 : ended.count;
}

/** A page of a rule's exceptions in order of user. */
export async function listExceptions(
  db: Database,
  rule_id: string,
  page: Readonly<{ limit: number; after?: string }>,
): Promise<readonly StoredException[]> {
  const { rows } = await sql<StoredException>`
    select x.*, u.login from rule_exceptions x join users u on u.id = x.user_id
    where x.rule_id = ${rule_id} and x.user_id > ${page.after ?? ""}
    order by x.user_id limit ${page.limit}`.execute(db);
  return rows;
}

async function exceptionsOf(
  db: Database,
  rule_id: string,
  user_ids: readonly string[],
): Promise<readonly StoredException[]> {
  const { rows } = await sql<StoredException>`
    select x.*, u.login from rule_exceptions x join users u on u.id = x.user_id
    where x.rule_id = ${rule_id} and x.user_id = any(${[...user_ids]}::text[]) order by x.user_id`.execute(db);
  return rows;
}

async function findRule(db: Database, rule_id: string): Promise<Pick<StoredRule, "id" | "name"> | Refusal> {
  const rule = await db.selectFrom("rules").select(["id", "name"]).where("id", "=", rule_id).executeTakeFirst();
  return rule ?? noSuchRule(rule_id);
}

const noSuchRule = (rule_id: string): Refusal => ({
  refused: `there is no group rule ${rule_id}`,
  code: "not_found",
  place: rule_id,
});

/** Keeps a rule from being deleted. Its row goes last in a deletion, so whoever waits here holds up nobody. */
async function keepRule({ db }: Running, rule_id: string): Promise<Refusal | undefined> {
  const kept = await db.selectFrom("rules").select("id").where("id", "=", rule_id).forKeyShare().executeTakeFirst();
  return kept === undefined ? noSuchRule(rule_id) : undefined;
}

/** Writes, logs and marks exceptions inside a command. Gives a refusal when the rule or a person is not there. */
export async function putExceptions(
  running: Running,
  rule: Pick<StoredRule, "id" | "name">,
  exceptions: readonly NewException[],
): Promise<Refusal | undefined> {
  if (exceptions.length === 0) return undefined;
  await lockPeople(
    running.db,
    exceptions.map(({ user_id }) => user_id),
  );
  const gone = await keepRule(running, rule.id);
  if (gone) return gone;
  const { rows: known } = await sql<{ id: string; login: string }>`
    select id, login from users where id = any(${exceptions.map(({ user_id }) => user_id)}::text[])`.execute(
    running.db,
  );
  const logins = new Map(known.map(({ id, login }) => [id, login]));
  const missing = exceptions.find(({ user_id }) => !logins.has(user_id));
  if (missing) return { refused: `there is no user ${missing.user_id}`, code: "not_found", place: missing.user_id };
  const { rows } = await sql<{ user_id: string; reason: string | null }>`
    insert into rule_exceptions (rule_id, user_id, reason, created_by, created_at, expires_at)
    select distinct on (x.user_id) ${rule.id}, x.user_id, x.reason, ${running.actor.id}, ${running.now()}::timestamptz, x.expires_at
    from jsonb_to_recordset(${JSON.stringify(exceptions)}::jsonb) as x(user_id text, reason text, expires_at timestamptz)
    order by x.user_id
    on conflict (rule_id, user_id) do update set reason = excluded.reason, expires_at = excluded.expires_at
      where (rule_exceptions.reason, rule_exceptions.expires_at) is distinct from (excluded.reason, excluded.expires_at)
    returning user_id, reason`.execute(running.db);
  const seqs = await logAll(
    running,
    rows.map(({ user_id, reason }) => ({
      type: "group.user_membership.rule.add_exclusion",
      targets: [{ id: user_id, type: "User" as const, name: logins.get(user_id) ?? user_id }, ruleTarget(rule)],
      reason,
      user_id,
    })),
  );
  await markDirtyEach(
    running,
    rows.map(({ user_id }, n) => ({ user_id, cause: seqs[n] ?? null })),
  );
  return undefined;
}

type Gone = { user_id: string; login: string; rule_id: string; name: string };

async function followRemoval(running: Running, gone: readonly Gone[], reason: string): Promise<void> {
  const seqs = await logAll(
    running,
    gone.map(({ user_id, login, rule_id, name }) => ({
      type: "group.user_membership.rule.remove_exclusion",
      targets: [{ id: user_id, type: "User" as const, name: login }, ruleTarget({ id: rule_id, name })],
      reason,
      user_id,
    })),
  );
  await markDirtyEach(
    running,
    gone.map(({ user_id }, n) => ({ user_id, cause: seqs[n] ?? null })),
  );
}
