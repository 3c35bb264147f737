/**
 * Memberships are sets of grants: a user is in a group while anyone or anything still grants it. Commands here add and
 * end grants in bulk; a membership is logged, and its group touched, only when its first grant begins or its last ends.
 *
 * Laws: Everyone never changes; an imported group changes only by import; grants of rules come only from
 * `applyRuleGrants`; taking a person out by hand ends every grant, and the rules that had given one get an exception,
 * so that they do not put the person back (okta-lifecycle 6.2).
 *
 * Called by the API and console (by hand), by imports, by users.ts at creation, and by the engine: `applyRuleGrants`
 * from desire, `expireMemberships` from the schedule. Grant rows as such are membershipGrants.ts.
 */
import type { GrantKind, GroupType, Refusal } from "../core/types.ts";
import { sql } from "../store/database.ts";
import type { NewEvent } from "../store/log.ts";
import type { Target } from "../store/tables.ts";
import { type Command, logAll, priority, type Running, run } from "./command.ts";
import { closeGate } from "./gate.ts";
import { lockPeople } from "./locks.ts";
import { type Mark, markDirtyEach } from "./marks.ts";
import {
  deleteExpired,
  deleteGrants,
  deleteWhere,
  type GrantChange,
  type GrantInput,
  insertGrants,
} from "./membershipGrants.ts";
import type { StoredRule } from "./ruleChecks.ts";
import { grantsOfRule } from "./ruleDue.ts";

/** A grant to give. `source_id`: the person, source app or request that gives it. */
export type NewMembershipGrant = Readonly<{
  user_id: string;
  group_id: string;
  kind: Exclude<GrantKind, "rule" | "group">;
  source_id: string;
  reason?: string | null;
  expires_at?: Date | null;
}>;

/** What to end: without `kind` everything (a removal by hand), else the grants of that kind and source. */
export type Removal = Readonly<{
  user_id: string;
  group_id: string;
  kind?: Exclude<GrantKind, "rule" | "group">;
  source_id?: string;
  reason?: string | null;
}>;

/** A rule's grant. */
export type RuleGrant = Readonly<{ user_id: string; group_id: string; rule_id: string }>;

/** A membership that began or ended. */
export type MembershipChange = Readonly<{ user_id: string; group_id: string }>;

/** `excluded`: the rules that will leave this person alone from now on. */
export type Removed = Readonly<{
  ended: readonly MembershipChange[];
  excluded: readonly Readonly<{ user_id: string; rule_id: string }>[];
}>;

/** How soon the engine looks at whom a command concerns: by default as soon as at a change of one person. */
type Urgency = Readonly<{ urgency?: number }>;

/** Most events in one statement: some megabytes of JSON. */
const events_max = 5_000;

/**
 * Gives memberships. Giving the same grant again only renews its reason and expiry.
 *
 * @returns the memberships that began, or a refusal naming the first user or group that cannot be used.
 */
export function grantMemberships(
  command: Command,
  grants: readonly NewMembershipGrant[],
  { urgency = priority.change }: Urgency = {},
): Promise<readonly MembershipChange[] | Refusal> {
  return run(command, async (running) => {
    const refused = await judgeGroups(running, grants);
    if (refused) return refused;
    const there = await lockPeople(running.db, people(grants));
    const missing = grants.find((grant) => !there.has(grant.user_id));
    if (missing) return noSuchUser(missing.user_id);
    const changes = await insertGrants(running, grants.map(plainGrant));
    await follow(running, { add: changes }, { mark: true, urgency });
    return distinct(changes);
  });
}

const plainGrant = (grant: NewMembershipGrant): GrantInput => ({
  user_id: grant.user_id,
  group_id: grant.group_id,
  kind: grant.kind,
  source_id: grant.source_id,
  reason: grant.reason ?? null,
  expires_at: grant.expires_at ?? null,
});

/**
 * Ends memberships. A user who is not in the group is no error.
 *
 * @returns the memberships that ended and the rule exceptions this made, or a refusal.
 */
export function revokeMemberships(
  command: Command,
  removals: readonly Removal[],
  { urgency = priority.change }: Urgency = {},
): Promise<Removed | Refusal> {
  return run(command, async (running) => {
    const refused = await judgeGroups(running, removals);
    if (refused) return refused;
    await lockPeople(running.db, people(removals));
    const changes = await deleteGrants(running, removals);
    const excluded = await excludeFromRules(running, removals, changes);
    await follow(running, { remove: changes }, { mark: true, urgency });
    return { ended: distinct(changes), excluded };
  });
}

/** `causes`: rule → the event that made it act. `mark`: people are marked dirty, as of a wave. */
export type RuleGrantOptions = Readonly<{ causes?: ReadonlyMap<string, number | null>; mark?: boolean }>;

/**
 * Writes what the rules give and no longer give. Desire holds the users' marks and goes on to compute their accounts: so
 * nobody is marked, unless asked. A wave has locked marks and users before.
 */
export function applyRuleGrants(
  command: Command,
  diff: Readonly<{ add: readonly RuleGrant[]; remove: readonly RuleGrant[] }>,
  { causes, mark = false }: RuleGrantOptions = {},
): Promise<Readonly<{ began: readonly MembershipChange[]; ended: readonly MembershipChange[] }> | Refusal> {
  return run(command, async (running) => {
    const remove = diff.remove.map(ruleGrant);
    const add = diff.add.map((grant) => ({
      ...ruleGrant(grant),
      reason: null,
      expires_at: null,
      cause: causes?.get(grant.rule_id) ?? null,
    }));
    await lockPeople(running.db, people([...add, ...remove]), true);
    // Added first: a user handed from one rule to another never leaves the group.
    const added = await insertGrants(running, add);
    const removed = await deleteGrants(running, remove);
    const options = { mark, urgency: priority.wave, ...(causes ? { causes } : {}) };
    await follow(running, { add: added, remove: removed }, options);
    return { began: distinct(added), ended: distinct(removed) };
  });
}

const ruleGrant = ({ user_id, group_id, rule_id }: RuleGrant) => {
  return { user_id, group_id, kind: "rule" as const, source_id: rule_id };
};

/**
 * Ends grants whose time is over, the oldest first, at most `limit`.
 *
 * @returns how many grants ended: equal to `limit` means there may be more.
 */
export async function expireMemberships(command: Command, now: Date, limit: number): Promise<number> {
  const ended = await run(command, async (running) => {
    const { rows } = await sql<{ user_id: string }>`
      select user_id from membership_grants where expires_at <= ${now}::timestamptz
      order by expires_at limit ${limit}`.execute(running.db);
    await lockPeople(running.db, people(rows));
    const changes = await deleteExpired(running, now, people(rows));
    await follow(running, { remove: changes }, { mark: true, reason: "the grant expired" });
    return changes.length;
  });
  return typeof ended === "number" ? ended : 0;
}

/**
 * Says that what these groups push has changed: every active push of them is due now, whatever it was waiting for.
 *
 * @param cause the event that changed the groups.
 */
export async function markPushesDue(
  command: Command,
  group_ids: readonly string[],
  cause: number | null = command.cause ?? null,
): Promise<void> {
  if (group_ids.length === 0) return;
  const now = command.now();
  await sql`
    with pushes as (
      select id from pushed_groups where group_id = any(${[...new Set(group_ids)]}::text[]) and status = 'ACTIVE'
      order by id for update)
    update pushed_groups p
    set due_at = least(coalesce(p.due_at, ${now}::timestamptz), ${now}::timestamptz),
        generation = p.generation + 1, cause = ${cause}::bigint
    from pushes where p.id = pushes.id`.execute(command.db);
}

/**
 * Ends every grant of a rule that is going away; logs, marks and touches like the rest. The gate is closed in between:
 * whom the engine has given a grant meanwhile loses it, too.
 *
 * @returns the memberships that ended.
 */
export async function endGrantsOfRule(
  running: Running,
  rule: Pick<StoredRule, "id" | "groups_held">,
  reason: string,
): Promise<readonly MembershipChange[]> {
  const options = { mark: true, reason, urgency: priority.wave };
  const end = async () => {
    const { rows } = await sql<{ user_id: string }>`
      select distinct m.user_id from membership_grants m where ${grantsOfRule(rule)}`.execute(running.db);
    await lockPeople(running.db, people(rows));
    const changes = await deleteWhere(running, grantsOfRule(rule));
    return { changes, causes: await tell(running, { remove: changes }, options) };
  };
  const first = await end();
  await closeGate(running);
  const second = await end();
  const changes = [...first.changes, ...second.changes];
  await touch(running, { remove: changes }, second.causes.at(-1)?.cause ?? first.causes.at(-1)?.cause ?? null);
  return distinct(changes);
}

type Following = Readonly<{
  mark: boolean;
  reason?: string;
  urgency?: number;
  /** Rule → the event that made it act, where that is not the command's cause. */
  causes?: ReadonlyMap<string, number | null>;
}>;

/** Grants that were written, and grants that ended. */
type Changes = Readonly<{ add?: readonly GrantChange[]; remove?: readonly GrantChange[] }>;

/** The log, the marks, the groups and their pushes, in the order of locks (marks.ts). */
async function follow(running: Running, changes: Changes, options: Following): Promise<void> {
  const causes = await tell(running, changes, options);
  await touch(running, changes, causes.at(-1)?.cause ?? null);
}

/** The log and the marks; gives whose membership turned, with its event. */
async function tell(
  running: Running,
  { add = [], remove = [] }: Changes,
  options: Following,
): Promise<readonly Mark[]> {
  const turning = [
    ...turningOf(add).map((change) => ({ verb: "add" as const, change })),
    ...turningOf(remove).map((change) => ({ verb: "remove" as const, change })),
  ];
  const causes: Mark[] = [];
  for (let from = 0; from < turning.length; from += events_max) {
    const part = turning.slice(from, from + events_max);
    const seqs = await logAll(
      running,
      part.map(({ verb, change }) => membershipEvent(running, verb, change, options)),
    );
    for (const [n, { change }] of part.entries()) causes.push({ user_id: change.user_id, cause: seqs[n] ?? null });
  }
  if (!options.mark) return causes;
  // A grant beside others changes why the user is in the group, which the account's explanation shows.
  const rest = [...add, ...remove].map((change) => ({ user_id: change.user_id, cause: running.cause ?? null }));
  await markDirtyEach(running, [...rest, ...causes], options.urgency);
  return causes;
}

async function touch(running: Running, { add = [], remove = [] }: Changes, cause: number | null): Promise<void> {
  const turning = [...turningOf(add), ...turningOf(remove)];
  await touchGroups(
    running,
    turning.map((change) => change.group_id),
    cause,
  );
}

/** Says that the members of these groups have changed: in their rows, and to their pushes. */
export async function touchGroups(running: Running, group_ids: readonly string[], cause: number | null): Promise<void> {
  const ids = [...new Set(group_ids)];
  if (ids.length === 0) return;
  await sql`
    with touched as (select id from groups where id = any(${ids}::text[]) order by id for no key update)
    update groups g set members_changed_at = ${running.now()}::timestamptz from touched where g.id = touched.id`.execute(
    running.db,
  );
  await markPushesDue(running, ids, cause);
}

const turningOf = (changes: readonly GrantChange[]) =>
  changes.filter((change, n) => change.turns && firstOfPair(changes, n));

/** Several grants of one pair in one command begin or end one membership; `changes` come ordered by pair. */
function firstOfPair(changes: readonly GrantChange[], n: number): boolean {
  const [before, change] = [changes[n - 1], changes[n]];
  return before?.user_id !== change?.user_id || before?.group_id !== change?.group_id;
}

const distinct = (changes: readonly GrantChange[]): MembershipChange[] =>
  turningOf(changes).map(({ user_id, group_id }) => ({ user_id, group_id }));

function membershipEvent(
  running: Running,
  verb: "add" | "remove",
  change: GrantChange,
  { reason, causes }: Following,
): Omit<NewEvent, "actor"> {
  const targets: Target[] = [
    { id: change.user_id, type: "User", name: change.login },
    { id: change.group_id, type: "UserGroup", name: change.group_name },
  ];
  if (change.kind === "rule") {
    targets.push({ id: change.source_id, type: "GroupRule", name: change.rule_name ?? change.source_id });
  }
  return {
    type: `group.user_membership.${verb}`,
    targets,
    reason: reason ?? change.reason,
    cause: causes?.get(change.source_id) ?? running.cause ?? null,
    user_id: change.user_id,
    group_id: change.group_id,
    detail: { kind: change.kind, source_id: change.source_id },
  };
}

/** A person taken out by hand stays out: the rules that had put them in get an exception. */
async function excludeFromRules(
  running: Running,
  removals: readonly Removal[],
  changes: readonly GrantChange[],
): Promise<Removed["excluded"]> {
  const reasons = new Map(
    removals.map((removal) => [`${removal.user_id} ${removal.group_id}`, removal.reason ?? null]),
  );
  const given = changes.filter((change) => change.kind === "rule");
  if (given.length === 0) return [];
  const rows = given.map((change) => ({
    rule_id: change.source_id,
    user_id: change.user_id,
    reason: reasons.get(`${change.user_id} ${change.group_id}`) ?? `removed by hand from ${change.group_name}`,
  }));
  await sql`
    insert into rule_exceptions (rule_id, user_id, reason, created_by, created_at)
    select distinct on (x.rule_id, x.user_id) x.rule_id, x.user_id, x.reason, ${running.actor.id}, ${running.now()}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as x(rule_id text, user_id text, reason text)
    join rules r on r.id = x.rule_id
    order by x.rule_id, x.user_id
    on conflict (rule_id, user_id) do update set expires_at = null, reason = excluded.reason`.execute(running.db);
  await logAll(
    running,
    given.map((change) => ({
      type: "group.user_membership.rule.add_exclusion",
      targets: [
        { id: change.user_id, type: "User" as const, name: change.login },
        { id: change.source_id, type: "GroupRule" as const, name: change.rule_name ?? change.source_id },
        { id: change.group_id, type: "UserGroup" as const, name: change.group_name },
      ],
      reason: reasons.get(`${change.user_id} ${change.group_id}`) ?? null,
      user_id: change.user_id,
      group_id: change.group_id,
    })),
  );
  return given.map((change) => ({ user_id: change.user_id, rule_id: change.source_id }));
}

/** May these groups be changed this way? One query for the whole set, which also keeps them from being deleted meanwhile. */
async function judgeGroups(
  running: Running,
  changes: readonly Readonly<{ group_id: string; kind?: string }>[],
): Promise<Refusal | undefined> {
  const ids = [...new Set(changes.map((change) => change.group_id))];
  const rows = await running.db
    .selectFrom("groups")
    .select(["id", "type", sql<string>`profile->>'name'`.as("name")])
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .orderBy("id")
    .forKeyShare()
    .execute();
  const groups = new Map(rows.map((row) => [row.id, row]));
  for (const { group_id, kind } of changes) {
    const group = groups.get(group_id);
    if (group === undefined) {
      return { refused: `there is no group ${group_id}; it may have been deleted`, code: "not_found", place: group_id };
    }
    const refused = refusedGroup(group.type, group.name, kind);
    if (refused) return refused;
  }
  return undefined;
}

/** Why the members of a group cannot be changed by grants of this kind; undefined where they can. */
export function refusedGroup(type: GroupType, name: string, kind: string | undefined): Refusal | undefined {
  if (type === "BUILT_IN") {
    return { refused: `${name} holds everyone and cannot be changed; use a group of your own`, code: "forbidden" };
  }
  if (type === "APP_GROUP" && kind !== "import") {
    return {
      refused: `the members of ${name} are imported; change them in the app it comes from`,
      code: "forbidden",
    };
  }
  return undefined;
}

const people = (changes: readonly Readonly<{ user_id: string }>[]) => changes.map((change) => change.user_id);

function noSuchUser(id: string): Refusal {
  return { refused: `there is no user ${id}; they may have been deleted`, code: "not_found", place: id };
}
