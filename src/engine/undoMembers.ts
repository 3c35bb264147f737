/**
 * Taking an import of members of groups back: who joined by it leaves, and who left by it comes back.
 *
 * Laws: a membership that has another end or reason since stays as it is and is named. The rest of the laws are in
 * undoFile.ts.
 *
 * Called by server/admin/members.ts.
 */
import { sameValue } from "../core/diff.ts";
import type { Refusal, Value } from "../core/types.ts";
import type { Command, Running } from "../directory/command.ts";
import { lockUsers } from "../directory/locks.ts";
import {
  closedGroup,
  grantsOfPairs,
  groupsNamed,
  type Pair,
  type PairGrant,
  pairKey,
} from "../directory/memberFacts.ts";
import { grantMemberships, type NewMembershipGrant, revokeMemberships } from "../directory/memberships.ts";
import type { PeopleImportRow } from "../directory/peopleImports.ts";
import { isRefusal } from "../store/database.ts";
import type { OutOfReach } from "./importFile.ts";
import { alsoBy } from "./importMembers.ts";
import { left, type Said, type UndoneRow, type UndoSummary, undoFile } from "./undoFile.ts";

/** Begins; gives the rest of the work, told chunk by chunk, or why it cannot be. */
export function undoMembers(
  command: Command,
  id: string,
  outOfReach: OutOfReach,
): Promise<AsyncGenerator<readonly UndoneRow[], UndoSummary> | Refusal> {
  return undoFile(command, id, "members", (running, rows, { started_by }) =>
    takeBackRows(running, rows, { outOfReach, giver: started_by.id }),
  );
}

const pairOf = ({ user_id, group_id }: PeopleImportRow): Pair => ({ user_id, group_id: group_id ?? "" });

async function takeBackRows(
  running: Running,
  rows: readonly PeopleImportRow[],
  { outOfReach, giver }: Readonly<{ outOfReach: OutOfReach; giver: string }>,
): Promise<ReadonlyMap<number, Said>> {
  const pairs = rows.map(pairOf);
  const group_ids = [...new Set(pairs.map(({ group_id }) => group_id))];
  const people = await lockUsers(
    running.db,
    pairs.map(({ user_id }) => user_id),
  );
  const groupOf = await groupsNamed(running, group_ids);
  const shut = await outOfReach(running.db, group_ids);
  const grants = await grantsOfPairs(running.db, pairs);
  const said = new Map<number, Said>();
  const leaving: Pair[] = [];
  const coming: NewMembershipGrant[] = [];
  for (const row of rows) {
    const pair = pairOf(row);
    const group = groupOf(pair.group_id);
    const closed = isRefusal(group) ? "the group was deleted" : (closedGroup(group)?.refused ?? shut.get(group.id));
    const stays = people.has(pair.user_id) ? closed : "they were deleted";
    const there = grants.get(pairKey(pair)) ?? [];
    if (stays !== undefined) said.set(row.line, left(stays));
    else if (row.outcome === "join") said.set(row.line, unjoin(row, there, giver, leaving));
    else said.set(row.line, unleave(row, there, running.now(), coming));
  }
  const reason = "the import that put them in the group was taken back";
  const removals = leaving.map((pair) => ({ ...pair, kind: "person" as const, source_id: giver, reason }));
  const ended = await revokeMemberships(running, removals);
  const given = coming.length === 0 ? [] : await grantMemberships(running, coming);
  const refused = [ended, given].find(isRefusal);
  if (refused !== undefined) throw new Error(refused.refused);
  return said;
}

/** Who joined leaves, where the grant still is what the import wrote. */
function unjoin(row: PeopleImportRow, there: readonly PairGrant[], giver: string, leaving: Pair[]): Said {
  const grant = there.find(({ kind, source_id }) => kind === "person" && source_id === giver);
  if (grant === undefined) return { undone: "undone", did: null, reason: "they were out of it already" };
  const now: Readonly<Record<string, Value>> = { until: grant.expires_at?.toISOString() ?? null, reason: grant.reason };
  const moved = Object.entries(now).filter(([name, value]) => {
    const wrote = row.changes.find(({ attribute }) => attribute === name)?.after ?? null;
    return !sameValue(wrote, value);
  });
  if (moved.length > 0) return left(`${moved.map(([name]) => name).join(" and ")} changed since, and they stay in it`);
  leaving.push(pairOf(row));
  const note = alsoBy(there) ?? (there.length > 1 ? "somebody else" : undefined);
  return { undone: "undone", did: "left", reason: note === undefined ? null : `they stay in it by ${note}` };
}

/** Who left comes back, by the grants that they had. */
function unleave(row: PeopleImportRow, there: readonly PairGrant[], now: Date, coming: NewMembershipGrant[]): Said {
  if (there.some(({ kind }) => kind === "person")) {
    return { undone: "undone", did: null, reason: "they are in it by hand again" };
  }
  const had = row.changes.flatMap(({ before }) => grantOf(row, before));
  const open = had.filter(({ expires_at }) => expires_at === null || expires_at > now);
  if (open.length === 0) return left("their time in it is over");
  coming.push(...open);
  return { undone: "undone", did: "came back", reason: null };
}

type Had = NewMembershipGrant & Readonly<{ expires_at: Date | null }>;

/** A grant as it was kept. */
function grantOf(row: PeopleImportRow, before: Value): readonly Had[] {
  if (typeof before !== "object" || before === null || !("source_id" in before)) return [];
  const { source_id, reason, until } = before;
  const expires_at = typeof until === "string" ? new Date(until) : null;
  const why = typeof reason === "string" ? reason : null;
  return [{ ...pairOf(row), kind: "person", source_id: String(source_id), reason: why, expires_at }];
}
