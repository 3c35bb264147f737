/**
 * Taking an import of people back: who was created by it is deactivated, and values that it changed are set back, where
 * they still are what it wrote.
 *
 * Laws: whatever has changed since stays as it is and is named; so does who comes from a source by now, which alone says
 * whether they work here. A chunk is one transaction with what is kept of it: who was cut off asks again and it goes on.
 *
 * Called by server/admin/people.ts.
 */
import { type Change, sameValue } from "../core/diff.ts";
import type { Profile, Refusal, Value } from "../core/types.ts";
import type { Command, Running } from "../directory/command.ts";
import { lockUsers } from "../directory/locks.ts";
import type { PeopleImportRow } from "../directory/peopleImports.ts";
import { profileSources } from "../directory/sourced.ts";
import { transitionUsers } from "../directory/userLifecycle.ts";
import type { StoredUser } from "../directory/userQueries.ts";
import { updateUsersEach } from "../directory/users.ts";
import { isRefusal } from "../store/database.ts";
import type { OutOfReach } from "./importFile.ts";
import { left, type Said, type UndoneRow, type UndoSummary, undoFile } from "./undoFile.ts";

/** Begins; gives the rest of the work, told chunk by chunk, or why it cannot be. */
export function undoPeople(
  command: Command,
  id: string,
  outOfReach: OutOfReach,
): Promise<AsyncGenerator<readonly UndoneRow[], UndoSummary> | Refusal> {
  return undoFile(command, id, "people", (running, rows) => takeBackRows(running, rows, outOfReach));
}

async function takeBackRows(
  running: Running,
  rows: readonly PeopleImportRow[],
  outOfReach: OutOfReach,
): Promise<ReadonlyMap<number, Said>> {
  const ids = rows.map(({ user_id }) => user_id);
  // Locked, so that what is compared here is what is set back below.
  const users = await lockUsers(running.db, ids);
  const shut = await outOfReach(running.db, ids);
  const outcomes = new Map<number, Said>();
  const open = rows.filter(({ line, user_id }) => {
    const reason = users.has(user_id) ? shut.get(user_id) : "they were deleted";
    if (reason !== undefined) outcomes.set(line, left(reason));
    return reason === undefined;
  });
  const made = open.filter(({ outcome }) => outcome === "create");
  const changed = open.filter(({ outcome }) => outcome === "update");
  for (const [line, said] of await setBack(running, users, changed)) outcomes.set(line, said);
  for (const [line, said] of await deactivate(running, users, made)) outcomes.set(line, said);
  return outcomes;
}

/** Who was created, unless a source has them by now. */
async function deactivate(
  running: Running,
  users: ReadonlyMap<string, StoredUser>,
  rows: readonly PeopleImportRow[],
): Promise<ReadonlyMap<number, Said>> {
  const ids = rows.map(({ user_id }) => user_id);
  const sources = await profileSources(running.db, ids);
  const said = new Map<number, Said>();
  const leaving = rows.filter(({ line, user_id }) => {
    const source = sources.get(user_id);
    if (source !== undefined) said.set(line, left(`they come from ${source.label} by now, which says who works here`));
    else if (users.get(user_id)?.status === "DEPROVISIONED") said.set(line, left("they are deactivated already"));
    return !said.has(line);
  });
  if (leaving.length === 0) return said;
  const reason = "the import that created them was taken back";
  const results = await transitionUsers(
    running,
    leaving.map(({ user_id }) => user_id),
    { kind: "deactivate" },
    { reason },
  );
  for (const [n, { line }] of leaving.entries()) {
    const result = isRefusal(results) ? results : results[n];
    if (result === undefined || isRefusal(result)) said.set(line, left(result?.refused ?? "not done"));
    else said.set(line, { undone: "undone", did: "deactivated", reason: null });
  }
  return said;
}

/** Values that were changed and still are what the import wrote. */
async function setBack(
  running: Running,
  users: ReadonlyMap<string, StoredUser>,
  rows: readonly PeopleImportRow[],
): Promise<ReadonlyMap<number, Said>> {
  const said = new Map<number, Said>();
  const wishes = rows.flatMap((row) => {
    const profile = users.get(row.user_id)?.profile ?? {};
    // What is as it was before the import has been set back already, by the last try or by hand.
    const open = row.changes.filter(({ attribute, before }) => !sameValue(valueIn(profile, attribute), before));
    const same = open.filter(({ attribute, after }) => sameValue(valueIn(profile, attribute), after));
    const moved = open.filter((change) => !same.includes(change));
    const reason = moved.length === 0 ? null : `${named(moved)} changed since, and stays`;
    if (open.length === 0) said.set(row.line, { undone: "undone", did: null, reason: "it is as it was already" });
    else if (same.length === 0) said.set(row.line, left(reason ?? "nothing was changed"));
    return same.length === 0 ? [] : [{ line: row.line, id: row.user_id, profile: before(same), reason }];
  });
  if (wishes.length === 0) return said;
  const together = await updateUsersEach(running, wishes);
  for (const [n, { line, reason, ...wish }] of wishes.entries()) {
    // Refused as a whole: somebody was quicker with one of the values.
    const one = isRefusal(together) ? await updateUsersEach(running, [wish]) : together[n];
    const result = Array.isArray(one) ? one[0] : one;
    if (isRefusal(result)) said.set(line, left(result.refused));
    else said.set(line, { undone: reason === null ? "undone" : "partly", did: "set back", reason });
  }
  return said;
}

const valueIn = (profile: Profile, name: string): Value =>
  Object.hasOwn(profile, name) ? (profile[name] ?? null) : null;
const before = (changes: readonly Change[]): Profile =>
  Object.fromEntries(changes.map((change) => [change.attribute, change.before]));
const named = (changes: readonly Change[]) => changes.map(({ attribute }) => attribute).join(", ");
