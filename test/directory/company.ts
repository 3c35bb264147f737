/**
 * What the tests of directory/ share: a command with a clock that they set, people with less typing, and the part of the
 * engine that groups need: judge the dirty by the rules and write what comes of it.
 */
import { expect } from "vitest";
import type { Facts, GroupFact } from "../../src/core/expression/expression.ts";
import { ruleMoves } from "../../src/core/rules.ts";
import type { GrantKind, Profile, Refusal } from "../../src/core/types.ts";
import type { Command } from "../../src/directory/command.ts";
import type { StoredGroup } from "../../src/directory/groupQueries.ts";
import { createGroups } from "../../src/directory/groups.ts";
import { applyRuleGrants } from "../../src/directory/memberships.ts";
import { loadRules } from "../../src/directory/rules.ts";
import { ensureGround } from "../../src/directory/schemas.ts";
import type { StoredUser } from "../../src/directory/userQueries.ts";
import { createUsers, type NewUser } from "../../src/directory/users.ts";
import { evaluateRules } from "../../src/engine/ruleEvaluation.ts";
import { type Database, isRefusal, sql } from "../../src/store/database.ts";
import type { Actor } from "../../src/store/tables.ts";
import { wipe } from "../support/memory.ts";

export const admin: Actor = { id: "00uadmin", type: "User", name: "Grace Admin" };

/** A company with nothing in it but the ground, at nine on 2 March 2026. */
export async function freshCompany(db: Database): Promise<{ command: Command; everyone: string; setTime: SetTime }> {
  await wipe(db);
  const { rows } = await sql<{ name: string }>`
    select indexname as name from pg_indexes where indexname like '%\\_unique\\_%' escape '\\'
      and indexname <> 'users_login_unique'`.execute(db);
  for (const { name } of rows) await sql`drop index ${sql.id(name)}`.execute(db);
  let now = new Date("2026-03-02T09:00:00Z");
  const setTime: SetTime = async (text) => {
    now = new Date(text);
    await sql`update clock set fixed_at = ${now}::timestamptz`.execute(db);
  };
  await setTime(now.toISOString());
  const command: Command = { db, now: () => now, actor: admin };
  return { command, everyone: await ensureGround(command), setTime };
}

export type SetTime = (text: string) => Promise<void>;

/** A complete profile around a first name. */
export function profileOf(name: string, more: Profile = {}): Profile {
  const login = `${name.toLowerCase()}@example.org`;
  return { login, email: login, firstName: name, lastName: "Example", ...more };
}

/** The result, or a failed test with the refusal's words. */
export function accepted<T>(result: T): Exclude<T, Refusal> {
  if (isRefusal(result)) expect.fail(`refused: ${result.code} ${result.refused}`);
  return result as Exclude<T, Refusal>;
}

/** The refusal, or a failed test. */
export function refused(result: unknown): Refusal {
  if (!isRefusal(result)) expect.fail(`not refused: ${JSON.stringify(result).slice(0, 200)}`);
  return result;
}

/** People by first name; typed as at least three, so that tests can name them. */
export async function hire(command: Command, names: readonly string[], more: Partial<NewUser> = {}) {
  const users = accepted(
    await createUsers(
      command,
      names.map((name) => ({ ...more, profile: profileOf(name, more.profile) })),
    ),
  );
  return users as readonly [StoredUser, StoredUser, StoredUser, ...StoredUser[]];
}

/** Types of the log's events after `after`, in order. */
export async function eventTypes(db: Database, after = 0): Promise<readonly string[]> {
  const { rows } = await sql<{ type: string }>`select type from events where seq > ${after} order by seq`.execute(db);
  return rows.map((row) => row.type);
}

/** The last sequence number of the log. */
export async function lastEvent(db: Database): Promise<number> {
  const { rows } = await sql<{ seq: number }>`select coalesce(max(seq), 0)::int as seq from events`.execute(db);
  return rows[0]?.seq ?? 0;
}

/** The marked users with their causes' event types. */
export async function dirtyUsers(
  db: Database,
): Promise<ReadonlyMap<string, { priority: number; cause: string | null }>> {
  const { rows } = await sql<{ user_id: string; priority: number; cause: string | null }>`
    select d.user_id, d.priority, e.type as cause from dirty d left join events e on e.seq = d.cause order by 1`.execute(
    db,
  );
  return new Map(rows.map(({ user_id, ...rest }) => [user_id, rest]));
}

export async function clean(db: Database): Promise<void> {
  await sql`delete from dirty`.execute(db);
}

/** Groups of a user by name, with the kinds of their grants. */
export async function groupsBy(db: Database, user_id: string): Promise<Record<string, GrantKind[]>> {
  const { rows } = await sql<{ name: string; kinds: GrantKind[] }>`
    select g.profile->>'name' as name, array_agg(m.kind order by m.kind) as kinds
    from membership_grants m join groups g on g.id = m.group_id where m.user_id = ${user_id}
    group by 1 order by 1`.execute(db);
  return Object.fromEntries(rows.map((row) => [row.name, row.kinds]));
}

type Row = Pick<StoredUser, "id" | "status" | "profile">;
type GrantOf = { user_id: string; group_id: string; kind: GrantKind; source_id: string };

/**
 * Evaluates due rules, judges every dirty person by the rules, writes the moves and cleans the marks: the engine's desire,
 * for groups only.
 */
export async function settleRules(command: Command): Promise<void> {
  const { db, now } = command;
  await evaluateRules({ db, now, node: "test", lease_ms: 60_000 });
  const rules = await loadRules(db);
  const { rows: users } = await sql<Row>`select u.* from users u join dirty d on d.user_id = u.id`.execute(db);
  const { rows: groups } = await sql<GroupFact>`
    select id, profile->>'name' as name, type, source_app_id as source_id, profile from groups`.execute(db);
  const { rows: grants } = await sql<GrantOf>`select * from membership_grants`.execute(db);
  const { rows: exceptions } = await sql<{ user_id: string; rule_id: string }>`select * from rule_exceptions`.execute(
    db,
  );
  const everyone = groups.filter((group) => group.type === "BUILT_IN");
  const moves = users.map((user) => {
    const own = grants.filter((grant) => grant.user_id === user.id);
    const held = new Map<string, GrantOf[]>(everyone.map((group) => [group.id, []]));
    for (const [id, some] of Map.groupBy(own, (grant) => grant.group_id)) held.set(id, some);
    const facts: Facts = {
      user: user.profile,
      user_id: user.id,
      user_status: user.status,
      groups: groups.filter((group) => held.has(group.id)),
      now: command.now(),
      time_zone: "UTC",
    };
    const excepted = exceptions.filter((one) => one.user_id === user.id).map((one) => one.rule_id);
    return ruleMoves(rules, { facts, groups: held, exceptions: new Set(excepted) });
  });
  accepted(
    await applyRuleGrants(command, {
      add: moves.flatMap((move) => move.add),
      remove: moves.flatMap((move) => move.remove),
    }),
  );
  await clean(db);
}

/** The database counting its statements. */
export function counting(real: Database): { counted: Database; count: () => number } {
  let n = 0;
  const counted = real.withPlugin({
    transformQuery: ({ node }) => {
      n += 1;
      return node;
    },
    transformResult: async ({ result }) => result,
  });
  return { counted, count: () => n };
}

/** Groups of ours by name; typed as at least three, so that tests can name them. */
export async function makeGroups(command: Command, names: readonly string[]) {
  const groups = accepted(
    await createGroups(
      command,
      names.map((name) => ({ profile: { name } })),
    ),
  );
  return groups as readonly [StoredGroup, StoredGroup, StoredGroup, ...StoredGroup[]];
}
