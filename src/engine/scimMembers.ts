/**
 * Members of groups that a source pushes over SCIM, as memberships: grants of kind import, which only the source ends.
 * What was pushed is in scim_members; a grant follows where the member is a person here.
 */
import { priority, type Running, run as runCommand } from "../directory/command.ts";
import { grantMemberships, revokeMemberships } from "../directory/memberships.ts";
import { isRefusal, sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import { heldBecause } from "./importGuard.ts";

/** More than these are a part of a wave, which single changes need not wait for. */
const wave_min = 1_000;

type Pair = Readonly<{ user_id: string; group_id: string }>;

const urgencyOf = (pairs: readonly Pair[]) => ({ urgency: pairs.length < wave_min ? priority.change : priority.wave });

/** Gives the memberships of these pairs. */
export async function give(run: ImportRun, running: Running, pairs: readonly Pair[]): Promise<void> {
  if (pairs.length === 0) return;
  const by = { kind: "import" as const, source_id: run.app_id, reason: `${run.label} says so` };
  const done = await grantMemberships(
    running,
    pairs.map((pair) => ({ ...pair, ...by })),
    urgencyOf(pairs),
  );
  if (isRefusal(done)) throw new Error(done.refused);
}

/** Ends what the source gave these pairs. */
export async function take(run: ImportRun, running: Running, pairs: readonly Pair[]): Promise<void> {
  if (pairs.length === 0) return;
  const by = { kind: "import" as const, source_id: run.app_id, reason: `${run.label} says so` };
  const done = await revokeMemberships(
    running,
    pairs.map((pair) => ({ ...pair, ...by })),
    urgencyOf(pairs),
  );
  if (isRefusal(done)) throw new Error(done.refused);
}

/** Whoever has just become a person here gets the memberships that wait for them. */
export async function givePending(run: ImportRun, running: Running, user_ids: readonly string[]): Promise<void> {
  if (user_ids.length === 0) return;
  const { rows } = await sql<Pair>`
    select a.user_id, g.id as group_id from accounts a
    join scim_members m on m.member_id = a.external_id
    join groups g on g.source_app_id = a.app_id and g.external_id = m.group_id
    where a.app_id = ${run.app_id} and a.user_id = any(${[...user_ids]}::text[]) and not exists (
      select from membership_grants h where h.user_id = a.user_id and h.group_id = g.id and h.kind = 'import'
        and h.source_id = a.app_id)`.execute(running.db);
  await give(run, running, rows);
}

/** Ends the memberships of people that the source does not tell of any more: it deleted them, or knows them under another id. */
export async function takeUnsaid(run: ImportRun, running: Running, user_ids: readonly string[]): Promise<void> {
  if (user_ids.length === 0) return;
  const { rows } = await sql<Pair>`
    select h.user_id, h.group_id from membership_grants h
    join groups g on g.id = h.group_id and g.source_app_id = ${run.app_id}
    join accounts a on a.app_id = ${run.app_id} and a.user_id = h.user_id
    where h.user_id = any(${[...user_ids]}::text[]) and h.kind = 'import' and h.source_id = ${run.app_id}
      and not exists (
        select from scim_members m where m.group_id = g.external_id and m.member_id = a.external_id)`.execute(
    running.db,
  );
  await take(run, running, rows);
}

/**
 * Whole groups after an import of everything: what was pushed is given, and what is not pushed any more is taken, unless so
 * many are held or to be held: those only a release ends. Gives what is left as it is, in words.
 */
export async function settleMembers(run: ImportRun): Promise<string | undefined> {
  const { db } = run.world;
  const pairs = async (query: ReturnType<typeof sql<Pair>>) => (await query.execute(db)).rows;
  const wanted = sql`
    select a.user_id, g.id as group_id from groups g join scim_members m on m.group_id = g.external_id
    join accounts a on a.app_id = g.source_app_id and a.external_id = m.member_id where g.source_app_id = ${run.app_id}`;
  const given = sql`
    select m.user_id, m.group_id from membership_grants m join groups g on g.id = m.group_id
    where g.source_app_id = ${run.app_id} and m.kind = 'import' and m.source_id = ${run.app_id}`;
  const missing = await pairs(sql<Pair>`${wanted} except ${given}`);
  const over = await pairs(sql<Pair>`${given} except (${wanted})`);
  const kept = over.length > 0 && (await isKept(run, over.length));
  const done = await runCommand<true>(run.command, async (running) => {
    await give(run, running, missing);
    if (!kept) await take(run, running, over);
    return true;
  });
  if (isRefusal(done)) throw new Error(done.refused);
  if (!kept) return undefined;
  return `${over.length} memberships that ${run.label} has taken back go on until a person releases what is held of it`;
}

/** Are so many memberships not to be ended without a person? */
async function isKept(run: ImportRun, count: number): Promise<boolean> {
  if (run.request.released !== undefined) return false;
  const { rows } = await sql`
    select from imports i join import_rows r on r.import_id = i.id
    where i.app_id = ${run.app_id} and i.status = 'HELD' and i.detail ? 'scim' and r.outcome = 'member_remove' limit 1`.execute(
    run.world.db,
  );
  return rows.length > 0 || (await judgeEnds(run, count)) !== undefined;
}

/** Why the end of so many memberships is held, or undefined. `before`: how many have ended that are to be counted, too. */
export async function judgeEnds(run: ImportRun, count: number, before = 0): Promise<string | undefined> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from membership_grants m join groups g on g.id = m.group_id
    where g.source_app_id = ${run.app_id} and m.kind = 'import' and m.source_id = ${run.app_id}`.execute(run.world.db);
  const scope = { type: "source", id: run.app_id, name: run.label } as const;
  const total = (rows[0]?.n ?? 0) + before;
  return heldBecause(run, [{ kind: "memberships_removed", scope, count: count + before, total }]);
}
