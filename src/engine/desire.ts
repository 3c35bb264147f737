/**
 * Desire: take dirty users, bring their rule memberships up to date, and write what each of their accounts should be.
 *
 * One transaction for a batch, with a handful of set queries and no call to any app. It holds the dirty rows, so a
 * change that lands meanwhile waits to mark the user again and is never lost; the facts are read after the marks are
 * held, so a mark deleted here was answered by what was read.
 *
 * An assignment that begins makes its account unsure: while nobody had it, anyone may have changed or made it.
 */
import { type Desired, desiredAccounts } from "../core/desired.ts";
import { sameValue } from "../core/diff.ts";
import { ruleMoves } from "../core/rules.ts";
import type { Value, Want } from "../core/types.ts";
import { type Command, logAll, priority, type Running, work_channel } from "../directory/command.ts";
import { passGate } from "../directory/gate.ts";
import { mappingTask } from "../directory/mappings.ts";
import { applyRuleGrants } from "../directory/memberships.ts";
import { raiseTasks } from "../directory/tasks.ts";
import { column, jsonbList, shared } from "../store/columns.ts";
import { sql, type Transaction, transact } from "../store/database.ts";
import { system } from "../store/log.ts";
import type { Claimed } from "./claim.ts";
import type { Company } from "./company.ts";
import { companyNow } from "./companyNow.ts";
import { type FirstClaims, firstClaims, type Places } from "./firstClaim.ts";
import { type AccountBefore, afterMoves, loadPeople, type PersonRecord } from "./people.ts";
import { markPushesOf } from "./record.ts";
import type { World } from "./world.ts";

type Mark = Readonly<{ user_id: string; priority: number; cause: number | null }>;

/** An account as it should be beside its row. */
type Compared = Readonly<{
  mark: Mark;
  person: PersonRecord;
  desired: Desired;
  before: AccountBefore | undefined;
  want_moved: boolean;
  /** It begins, ends, or only changes. */
  turn: "begin" | "end" | "change";
}>;

/** Marks from one priority to another (command.ts), both included. */
export type Urgencies = Readonly<{ from: number; to: number }>;

const every_urgency: Urgencies = { from: priority.leaver, to: 32_767 };

/**
 * How many dirty users were answered, and how many accounts became due; `claimed`: those of them that are this node's to
 * begin with.
 */
export type DesireCounts = Readonly<{ users: number; due: number; claimed: readonly Claimed[] }>;

/**
 * `which`: only users whose mark is as urgent as that. `found` is called when there are any. `places`: how many new
 * accounts of an app may be claimed at once; without it none.
 */
export type DesireOptions = Readonly<{ which?: Urgencies; found?: () => void; places?: Places }>;

const none: DesireCounts = { users: 0, due: 0, claimed: [] };

/** Answers at most `n` dirty users, the most urgent first. */
export async function desire(world: World, n: number, options: DesireOptions = {}): Promise<DesireCounts> {
  const { which = every_urgency, found = () => {}, places = () => 0 } = options;
  // A bulk mark between two steps of a command can end in a deadlock: tried again at once, so that a leaver waits no turn.
  const counts = await transact<DesireCounts>(world.db, async (trx) => {
    await passGate({ db: trx });
    const marks = await takeMarks(trx, n, which);
    if (marks.length === 0) return none;
    found();
    const command: Running = { db: trx, now: () => world.now(), actor: system };
    const { company, pushes } = await companyNow(world, trx);
    const people = await loadPeople(
      trx,
      company,
      marks.map((mark) => mark.user_id),
      world.now(),
    );
    const moves = [...people].map(([id, record]) => [id, ruleMoves(company.rules, record)] as const);
    const add = moves.flatMap(([, one]) => one.add);
    const remove = moves.flatMap(([, one]) => one.remove);
    await planFor(trx, marks, add.length + remove.length);
    if (add.length + remove.length > 0) await applyRuleGrants(command, { add, remove });
    for (const [id, move] of moves) people.set(id, afterMoves(company, people.get(id) as PersonRecord, move));
    const desired = marks.flatMap((mark) => desiredOf(company, people.get(mark.user_id), mark));
    const changed = desired.filter((change) => !isSame(change));
    await planFor(trx, marks, changed.length);
    const { due, claimed } = await writeChanges(world, command, company, changed, firstClaims(world, places));
    await tellErrors(command, company, desired);
    await answer(world, command, marks, due > 0);
    // Last, because others wait for a pushed group's row until the commit.
    if (pushes) await markPushes(world, command, changed);
    return { users: marks.length, due, claimed };
  });
  return "users" in counts ? counts : none;
}

/** So few that plans which do not look at how many there are fit them. */
const few = 64;

/**
 * Only the ends that leave something out are asked for: of a range with two ends a planner that does not know the table
 * yet expects next to nothing, and sorted all marks of a wave for each batch, 20,000 of them in 4 ms.
 *
 * For few, the rest of the transaction uses plans that are kept (store/plans.ts). Left alone, PostgreSQL makes each of them
 * anew, since it thinks ten of any list that it does not see: of the 4.7 ms that one person took it, 2.5 were planning.
 * What a wave writes is counted by its commit, not up to ten seconds later, for the look at what the planner believes.
 */
async function takeMarks(trx: Transaction, n: number, { from, to }: Urgencies): Promise<readonly Mark[]> {
  const least = from > every_urgency.from ? sql`priority >= ${from}::smallint` : sql`true`;
  const most = to < every_urgency.to ? sql`priority <= ${to}::smallint` : sql`true`;
  const { rows } = await sql<Mark>`
    with taken as (
      select user_id, priority, cause from dirty where ${least} and ${most}
      order by priority, marked_at limit ${n} for update skip locked),
    planned as materialized (
      select set_config('plan_cache_mode', case when count(*) > ${sql.lit(few)} then 'auto' else 'force_generic_plan' end, true),
        case when count(*) > ${sql.lit(few)} then pg_stat_force_next_flush() end as counted
      from taken)
    select user_id, priority, cause from taken, planned`.execute(trx);
  return rows;
}

/** Few people may have many grants or accounts: what is written of them is planned by how many there are. */
async function planFor(trx: Transaction, marks: readonly Mark[], rows: number): Promise<void> {
  // Of many, everything is planned so from the beginning.
  if (marks.length <= few && rows > few) await sql`select set_config('plan_cache_mode', 'auto', true)`.execute(trx);
}

/** The marks are answered; whoever works on accounts is woken by the commit. */
async function answer(world: World, command: Running, marks: readonly Mark[], work: boolean): Promise<void> {
  await sql`
    with answered as (delete from dirty where user_id = any(${column(marks, (mark) => mark.user_id)}::text[]))
    select case when ${work} then pg_notify(${work_channel}, ${world.node}) end`.execute(command.db);
}

/** Groups of an app wait for those whose account begins, ends, or is switched on or off. */
async function markPushes(world: World, command: Running, changed: readonly Compared[]): Promise<void> {
  const sides = changed.filter((change) => change.turn !== "change" || switched(change));
  if (sides.length === 0) return;
  await markPushesOf(
    world,
    command.db,
    sides.map(({ desired, mark }) => ({ app_id: desired.app_id, user_id: mark.user_id })),
  );
}

/** What one person's accounts should be, beside what their rows say. */
function desiredOf(company: Company, person: PersonRecord | undefined, mark: Mark): Compared[] {
  if (person === undefined) return [];
  return desiredAccounts(person.person, company.apps).map((desired) => {
    const before = person.accounts.get(desired.app_id);
    const was = before?.assigned ?? false;
    return {
      mark,
      person,
      desired,
      before,
      want_moved: !sameWant(before?.want ?? null, desired.want),
      turn: was === desired.assigned ? "change" : desired.assigned ? "begin" : "end",
    };
  });
}

/** Nothing of the row would change: neither want nor the reasons for it. */
function isSame({ before, desired, want_moved, turn }: Compared): boolean {
  return (
    before !== undefined &&
    !want_moved &&
    turn === "change" &&
    before.match_key === desired.match_key &&
    sameValue(before.grants as unknown as Value, desired.grants as unknown as Value)
  );
}

function sameWant(a: Want | null, b: Want | null): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.enabled === b.enabled &&
    a.create === b.create &&
    a.early === b.early &&
    sameValue(a.profile as Value, b.profile as Value)
  );
}

/** Rows, log and work for a batch of changed accounts. Gives how many became due, and those that were claimed. */
async function writeChanges(
  world: World,
  command: Running,
  company: Company,
  changed: readonly Compared[],
  first: FirstClaims,
): Promise<Omit<DesireCounts, "users">> {
  if (changed.length === 0) return none;
  const causes = await logChanges(command, company, changed);
  const lines = changed.map((change, n) => toLine(company, change, causes[n] ?? change.mark.cause, first));
  const { rows } = await sql<{ due: number; begun: string | null }>`
    with input as (
      ${columnsOf(lines)}
    ), saved as (
      insert into accounts as a (app_id, user_id, assigned, want, want_revision, have, grants, match_key, assigned_at,
        created_at, updated_at)
      select app_id, user_id, assigned, nullif(want, 'null'), 1, case when external then null else nullif(want, 'null') end,
             grants, match_key, case when assigned then ${world.now()}::timestamptz end, ${world.now()}::timestamptz,
             ${world.now()}::timestamptz
      from input order by app_id, user_id
      on conflict (app_id, user_id) do update set
        assigned = excluded.assigned,
        want = excluded.want,
        want_revision = a.want_revision + case when a.want is distinct from excluded.want then 1 else 0 end,
        have = coalesce(excluded.have, a.have),
        grants = excluded.grants,
        match_key = excluded.match_key,
        assigned_at = case when excluded.assigned and not a.assigned then ${world.now()}::timestamptz else a.assigned_at end,
        released_at = null,
        updated_at = ${world.now()}::timestamptz
      -- A row without a predecessor: nobody made the account meanwhile.
      returning a.id, a.app_id, a.user_id, a.want_revision, a.xmax = 0 as made
    ), marked as (
      insert into work (account_id, app_id, user_id, revision, due_at, priority, unsure, marked_at, cause, claimed_by,
        claimed_until, tried_keys)
      select s.id, s.app_id, s.user_id, s.want_revision, ${world.now()}::timestamptz, i.urgency, i.turn = 'begin',
             ${world.now()}::timestamptz, i.cause, ${first.columns}
      from saved s join input i using (app_id, user_id)
      where i.external and (i.want_moved or i.turn <> 'change') order by s.id
      on conflict (account_id) do update set revision = excluded.revision, due_at = excluded.due_at,
        priority = least(work.priority, excluded.priority), unsure = work.unsure or excluded.unsure, attempts = 0,
        fault = null, fault_detail = null, fault_attribute = null, first_fault_at = null, cause = excluded.cause
      returning account_id, app_id, user_id, claimed_by
    )
    select count(*)::int as due, string_agg(concat_ws(' ', account_id, app_id, user_id), ',') filter (
      where claimed_by = ${first.name}) as begun from marked`.execute(command.db);
  await releaseAccounts(world, command, changed);
  const { due = 0, begun } = rows[0] ?? {};
  return { due, claimed: first.claimed(lines, begun ?? "") };
}

const switched = ({ before, desired }: Compared) =>
  (before?.want?.enabled ?? false) !== (desired.want?.enabled ?? false);

function toLine(company: Company, change: Compared, cause: number | null, first: FirstClaims) {
  const { desired, mark, before, person } = change;
  const external = company.external.has(desired.app_id);
  const leaving = desired.want === null || (!desired.want.enabled && desired.want.early !== true);
  return {
    app_id: desired.app_id,
    user_id: mark.user_id,
    login: person.login,
    assigned: desired.assigned,
    want: desired.want,
    want_moved: change.want_moved,
    grants: desired.grants,
    match_key: desired.match_key,
    turn: change.turn,
    external,
    begins: external && before === undefined && desired.want?.create === true && first.takes(desired.app_id),
    urgency: leaving ? priority.leaver : mark.priority,
    cause,
  };
}

/** The lines as SQL reads them: by columns, what many share sent once. As a list of objects they cost twice as much. */
function columnsOf(lines: readonly ReturnType<typeof toLine>[]) {
  const grants = shared(lines.map((line) => line.grants));
  return sql`
      select app_id, user_id, assigned, want, want_moved, ${grants.list}::jsonb -> grants as grants, match_key, turn, external,
        urgency, cause, begins
      from rows from (unnest(${column(lines, (line) => line.app_id)}::text[]),
        unnest(${column(lines, (line) => line.user_id)}::text[]), unnest(${column(lines, (line) => line.assigned)}::boolean[]),
        jsonb_array_elements(${jsonbList(lines.map((line) => line.want))}),
        unnest(${column(lines, (line) => line.want_moved)}::boolean[]), unnest(${grants.at}::int[]),
        unnest(${column(lines, (line) => line.match_key)}::text[]), unnest(${column(lines, (line) => line.turn)}::text[]),
        unnest(${column(lines, (line) => line.external)}::boolean[]),
        unnest(${column(lines, (line) => line.urgency)}::smallint[]), unnest(${column(lines, (line) => line.cause)}::bigint[]),
        unnest(${column(lines, (line) => line.begins)}::boolean[]))
        as i(app_id, user_id, assigned, want, want_moved, grants, match_key, turn, external, urgency, cause, begins)`;
}

/** Okta's names: the assignment begins, ends, or its values change. A change of reasons alone is not an event. */
async function logChanges(
  command: Command,
  company: Company,
  changed: readonly Compared[],
): Promise<(number | null)[]> {
  const told = changed.map((change) => change.turn !== "change" || change.want_moved);
  const seqs = await logAll(
    command,
    changed
      .filter((_, n) => told[n])
      .map(({ mark, desired, turn, person }) => ({
        type: `application.user_membership.${turn === "begin" ? "add" : turn === "end" ? "remove" : "update"}`,
        user_id: mark.user_id,
        app_id: desired.app_id,
        cause: mark.cause,
        targets: [
          { id: mark.user_id, type: "User" as const, name: person.login },
          {
            id: desired.app_id,
            type: "AppInstance" as const,
            name: company.labels.get(desired.app_id) ?? desired.app_id,
          },
        ],
        detail: { grants: desired.grants as unknown as Value, release: desired.release },
      })),
  );
  let next = 0;
  return told.map((yes) => (yes ? (seqs[next++] ?? null) : null));
}

/** Deactivation is off in the app: the account stays alive there and is listed as an orphan. */
async function releaseAccounts(world: World, command: Running, changed: readonly Compared[]): Promise<void> {
  const freed = changed.filter((change) => change.desired.release);
  if (freed.length === 0) return;
  await sql`
    update accounts a set released_at = ${world.now()}::timestamptz
    from unnest(${freed.map((f) => f.desired.app_id)}::text[], ${freed.map((f) => f.mark.user_id)}::text[]) as x(app_id, user_id)
    where a.app_id = x.app_id and a.user_id = x.user_id`.execute(command.db);
}

/** A mapping that fails for a person keeps the old value; one task for each app and attribute names the first. */
async function tellErrors(command: Command, company: Company, changed: readonly Compared[]): Promise<void> {
  const errors = changed.flatMap(({ desired, mark, person }) =>
    desired.errors.map((error) => ({ ...error, app_id: desired.app_id, user_id: mark.user_id, login: person.login })),
  );
  if (errors.length === 0) return;
  const first = new Map(errors.map((error) => [mappingTask(error.app_id, error.attribute), error]));
  await raiseTasks(
    command,
    [...first].map(([dedupe, error]) => ({
      kind: "mapping_error",
      title: `the mapping of ${error.attribute} to ${company.labels.get(error.app_id) ?? error.app_id} fails for ${error.login}`,
      dedupe,
      app_id: error.app_id,
      user_id: error.user_id,
      detail: { attribute: error.attribute, message: error.message },
    })),
  );
}
