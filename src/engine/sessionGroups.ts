/**
 * The groups that a source sent in a session, and who is in them: they become groups of that source (APP_GROUP), and
 * memberships by grants of kind import, which only that source ends. After the people, because members are people.
 *
 * Laws: chunk by chunk, each in one transaction with its outcomes; applied twice is applied once, so an import that was
 * cut off goes on; a row that cannot be applied says why and does not stop the rest. What is gone already, or never was,
 * is gone.
 *
 * Called by import.ts; `lossOfMembers` by importGuard.ts before anything is written.
 */
import type { RawBuilder } from "kysely";
import type { Loss } from "../core/guard.ts";
import type { Profile, Refusal } from "../core/types.ts";
import { priority, type Running, run as runCommand } from "../directory/command.ts";
import { type AppGroup, deleteAppGroups, upsertAppGroups } from "../directory/groups.ts";
import { grantMemberships, revokeMemberships } from "../directory/memberships.ts";
import { groupSchema, judgeProfile } from "../directory/schemaQueries.ts";
import { isRefusal, sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import { type Outcome, writeOutcomes } from "./importRows.ts";

/** Outcome → how many, of those that a session had. */
export type GroupCounts = Readonly<Record<string, number>>;

const chunk_size = 1_000;
/** The members of each are marked. */
const deleted_at_once = 100;
/** Behind the lines of people. */
const first_line = 1_000_000;

type Tally = { counts: Record<string, number>; line: number };

/** Makes, changes and deletes the groups of a session, and their members. Ends between two chunks when the signal says so. */
export async function applyGroups(run: ImportRun, session_id: string, signal: AbortSignal): Promise<GroupCounts> {
  const tally: Tally = { counts: {}, line: first_line };
  const rows = (kind: "group" | "member", gone: boolean) => sql`
    r.session_id = ${session_id} and r.kind = ${kind} and r.gone = ${gone}`;
  await eachChunk(run, signal, tally, { which: rows("group", false), size: chunk_size, apply: upsert });
  await eachChunk(run, signal, tally, { which: rows("member", false), size: chunk_size, apply: addMembers });
  await eachChunk(run, signal, tally, { which: rows("member", true), size: chunk_size, apply: removeMembers });
  await eachChunk(run, signal, tally, { which: rows("group", true), size: deleted_at_once, apply: remove });
  return tally.counts;
}

/** A record with the group and the person that it is about, as far as they are known. */
type GroupRow = Readonly<{
  n: number;
  external_id: string;
  member_id: string;
  profile: Readonly<Record<string, string | null>>;
  partial: boolean;
  group_id: string | null;
  was: Profile | null;
  user_id: string | null;
}>;

type Applied = Readonly<{
  counts: Readonly<Record<string, number>>;
  refused: readonly (readonly [GroupRow, string])[];
}>;

type Step = Readonly<{
  which: RawBuilder<unknown>;
  size: number;
  apply: (run: ImportRun, running: Running, rows: readonly GroupRow[]) => Promise<Applied | Refusal>;
}>;

async function eachChunk(
  run: ImportRun,
  signal: AbortSignal,
  tally: Tally,
  { which, size, apply }: Step,
): Promise<void> {
  for (let after = 0; ; ) {
    const rows = await nextRows(run, which, after, size);
    if (rows.length === 0) return;
    after = rows.at(-1)?.n ?? after;
    signal.throwIfAborted();
    const line = tally.line;
    const applied = await runCommand<Applied>(run.command, async (running) => {
      const done = await apply(run, running, rows);
      if (isRefusal(done)) return done;
      const refused = done.refused.map(([row, reason], n) => outcomeOf(row, reason, line + n));
      await writeOutcomes(running.db, run.id, refused);
      return done;
    });
    if (isRefusal(applied)) throw new Error(applied.refused);
    tally.line += applied.refused.length;
    for (const [name, count] of Object.entries(applied.counts)) {
      if (count > 0) tally.counts[name] = (tally.counts[name] ?? 0) + count;
    }
  }
}

function outcomeOf({ external_id, member_id }: GroupRow, reason: string, line: number): Outcome {
  const place = member_id === "" ? `group ${external_id}` : `member ${member_id} of group ${external_id}`;
  return {
    ...{ line, external_id: member_id || external_id, outcome: member_id === "" ? "group_refused" : "member_refused" },
    detail: { place, reason },
  };
}

async function nextRows(
  { world, app_id }: ImportRun,
  which: RawBuilder<unknown>,
  after: number,
  limit: number,
): Promise<readonly GroupRow[]> {
  const { rows } = await sql<GroupRow>`
    select r.n, r.external_id, r.member_id, r.profile, r.partial, g.id as group_id, g.profile as was, a.user_id
    from import_session_rows r
    left join groups g on g.source_app_id = ${app_id} and g.external_id = r.external_id
    left join accounts a on a.app_id = ${app_id} and a.external_id = r.member_id
    where ${which} and r.n > ${after}::bigint order by r.n limit ${limit}`.execute(world.db);
  return rows;
}

async function upsert(run: ImportRun, running: Running, rows: readonly GroupRow[]): Promise<Applied | Refusal> {
  const schema = await groupSchema(running.db);
  const refused: [GroupRow, string][] = [];
  const groups = rows.flatMap((row): AppGroup[] => {
    const judged = judgeProfile(schema, profileOf(row), { partial: false });
    if ("ok" in judged) return [{ external_id: row.external_id, profile: judged.ok }];
    refused.push([
      row,
      judged.faults.map(({ attribute, problem }) => `${shown[attribute] ?? attribute} ${problem}`).join("; "),
    ]);
    return [];
  });
  const done = await upsertAppGroups(running, run.app_id, groups);
  if (isRefusal(done)) return done;
  return { counts: { groups_created: done.created.length, groups_updated: done.changed.length }, refused };
}

const shown: Readonly<Record<string, string>> = { name: "displayName" };

/** The group's profile as it will be; attributes that the source has no word for stay. */
function profileOf({ profile, was, partial }: GroupRow): Profile {
  const told = (name: string, before: string) =>
    profile[name] ?? (partial && !(name in profile) ? was?.[before] : null);
  return { ...was, name: told("displayName", "name") ?? null, description: told("description", "description") ?? null };
}

async function addMembers(run: ImportRun, running: Running, rows: readonly GroupRow[]): Promise<Applied | Refusal> {
  const refused: [GroupRow, string][] = [];
  const grants = rows.flatMap((row) => {
    const { group_id, user_id } = row;
    if (group_id !== null && user_id !== null)
      return [{ user_id, group_id, ...by(run), reason: `${run.label} says so` }];
    const missing = group_id === null ? `group ${row.external_id}` : `person ${row.member_id}`;
    refused.push([row, `${run.label} has no ${missing}: send it before, or in the same session`]);
    return [];
  });
  const began = await grantMemberships(running, grants, urgencyOf(grants));
  return isRefusal(began) ? began : { counts: { members_added: began.length }, refused };
}

async function removeMembers(run: ImportRun, running: Running, rows: readonly GroupRow[]): Promise<Applied | Refusal> {
  const removals = rows.flatMap(({ group_id, user_id }) =>
    group_id === null || user_id === null ? [] : [{ user_id, group_id, ...by(run), reason: `${run.label} says so` }],
  );
  const removed = await revokeMemberships(running, removals, urgencyOf(removals));
  return isRefusal(removed) ? removed : { counts: { members_removed: removed.ended.length }, refused: [] };
}

const by = ({ app_id }: ImportRun) => ({ kind: "import" as const, source_id: app_id });

/** A full chunk is a part of a wave, which single changes need not wait for. */
const urgencyOf = (changes: readonly unknown[]) => ({
  urgency: changes.length < chunk_size ? priority.change : priority.wave,
});

async function remove(run: ImportRun, running: Running, rows: readonly GroupRow[]): Promise<Applied | Refusal> {
  const ids = rows.flatMap(({ group_id }) => group_id ?? []);
  const gone = await deleteAppGroups(running, run.app_id, ids);
  return isRefusal(gone) ? gone : { counts: { groups_deleted: gone.length }, refused: [] };
}

/** How many of the memberships that the source gives its session would end. */
export async function lossOfMembers(run: ImportRun, session_id: string, scope: Loss["scope"]): Promise<Loss> {
  const { rows } = await sql<{ count: number; total: number }>`
    with given as (
      select m.user_id, m.group_id, g.external_id from membership_grants m join groups g on g.id = m.group_id
      where m.kind = 'import' and m.source_id = ${run.app_id} and g.source_app_id = ${run.app_id}),
    going as (
      select r.kind, r.external_id, a.user_id from import_session_rows r
      left join accounts a on r.kind = 'member' and a.app_id = ${run.app_id} and a.external_id = r.member_id
      where r.session_id = ${session_id} and r.gone and r.kind in ('group', 'member'))
    select count(*) filter (where exists (select from going w where w.external_id = i.external_id
        and (w.kind = 'group' or w.user_id = i.user_id)))::int as count, count(*)::int as total
    from given i where exists (select from going)`.execute(run.world.db);
  const { count = 0, total = 0 } = rows[0] ?? {};
  return { kind: "memberships_removed", scope, count, total };
}
