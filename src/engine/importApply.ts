/**
 * Applying: decided rows become users, changes, leaves and returns. A chunk is one transaction, so that what it did to
 * people, to the source's account rows and to the outcomes is one fact. A row that is refused says why and does not stop
 * the rest. What is written of a row then is importRecord.ts.
 */
import type { Profile, Refusal } from "../core/types.ts";
import { type Running, run as runCommand } from "../directory/command.ts";
import { lockPeople } from "../directory/locks.ts";
import { raiseTasks } from "../directory/tasks.ts";
import { transitionUsers, type UserEvent } from "../directory/userLifecycle.ts";
import type { StoredUser } from "../directory/userQueries.ts";
import { createUsersEach, type NewUser, type UserChange, updateUsersEach } from "../directory/users.ts";
import { listUserTypes, storedTypeId, typeNamed, type UserType } from "../directory/userTypes.ts";
import { isRefusal, sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import type { LeavingRow } from "./importChanges.ts";
import { byLoginAlone, type DecidedRow, decideChunk } from "./importDecide.ts";
import type { ImportPlan } from "./importPass.ts";
import { type Applied, recordArrivals, recordLeavers } from "./importRecord.ts";
import { forgetLater, whoIsAway, writeTimes } from "./importTimes.ts";

/** Applies a chunk of rows of people who are there, and of strangers. */
export async function applyArrivals(plan: ImportPlan, decided: readonly DecidedRow[]): Promise<void> {
  const { run } = plan;
  await inTransaction(run, async (running) => {
    const applied = await arrive(plan, running, decided);
    await recordArrivals(run, running, applied);
    await tellMerged(run, running, applied);
  });
}

/** Records that were merged into others are nobody's to delete: a person sees to it. */
export async function tellMerged(run: ImportRun, running: Running, applied: readonly Applied[]): Promise<void> {
  const merged = applied.filter(({ one }) => one.merged_into !== undefined && one.verdict.outcome === "waiting");
  await raiseTasks(
    running,
    merged.map(({ one: { row, merged_into = "", profile } }) => ({
      kind: "import_row",
      title: `${String(profile["login"] ?? row.external_id)} (${row.external_id}) was merged into ${merged_into} in ${run.label}: see who goes on, and deactivate the other one`,
      dedupe: `merged:${run.app_id}:${row.external_id}`,
      app_id: run.app_id,
      user_id: row.user_id,
      detail: { import: run.id, row: row.external_id, merged_into },
    })),
  );
}

/** Makes, changes and brings back people in a transaction. Gives what became of every row, which nobody has recorded yet. */
export async function arrive(plan: ImportPlan, running: Running, decided: readonly DecidedRow[]): Promise<Applied[]> {
  const { matching, hope } = plan;
  const first = await applyRows(plan, running, decided);
  const again = byLoginAlone(matching) ? first.filter(isContested) : [];
  if (again.length === 0) return first;
  // Now these are looked for; whoever this chunk has just made comes from the row that made them.
  hope.holds = false;
  const taken = new Map(first.flatMap(({ one, user_id }) => (user_id ? [[user_id, one.row.external_id]] : [])));
  const rows = again.map(({ one }) => one);
  const second = await applyRows(plan, running, await decideChunk(running.db, plan, rows, { hope: false, taken }));
  return [...first.filter((row) => !isContested(row)), ...second];
}

/** It was to make someone whose login another person has, and no hook has said that it is someone else. */
const isContested = ({ one, refusal }: Applied): boolean =>
  one.chosen !== true && one.verdict.outcome === "create" && refusal?.code === "duplicate" && refusal.place === "login";

/** Applies a chunk of leavers, by the source's rules; holds and protected people are skipped with the reason. */
export async function applyLeavers({ run }: ImportPlan, rows: readonly LeavingRow[]): Promise<void> {
  await inTransaction(run, async (running) => {
    const { theirs, kept } = await leave(run, running, rows);
    await recordLeavers(run, running, rows, theirs, kept);
  });
}

/** Lets people leave in a transaction. Gives those who are another source's, and those who stay, with the reason. */
export async function leave(
  run: ImportRun,
  running: Running,
  rows: readonly LeavingRow[],
): Promise<Readonly<{ theirs: ReadonlySet<string>; kept: ReadonlyMap<string, Refusal> }>> {
  const ids = rows.map((row) => row.user_id);
  const theirs = await outranked(run, running, ids);
  const mine = ids.filter((user_id) => !theirs.has(user_id));
  const event = { kind: "source_inactive" as const, mode: run.sourcing.on_inactive };
  const kept = await turn(run, running, mine, event);
  await forgetLater(
    run,
    running,
    mine.filter((user_id) => !kept.has(user_id)),
  );
  return { theirs, kept };
}

async function inTransaction(run: ImportRun, work: (running: Running) => Promise<void>): Promise<void> {
  const result = await runCommand(run.command, async (running) => {
    await work(running);
    return true;
  });
  if (isRefusal(result)) throw new Error(result.refused);
}

/** Creates, changes and brings back. Gives what became of every row, in some order. */
async function applyRows(plan: ImportPlan, running: Running, decided: readonly DecidedRow[]): Promise<Applied[]> {
  const known = decided.flatMap((one) => personOf(one) ?? []);
  const theirs = await outranked(plan.run, running, known);
  const applied: Applied[] = [];
  const [created, changed]: [DecidedRow[], DecidedRow[]] = [[], []];
  for (const one of decided) {
    const user_id = personOf(one);
    if (user_id !== undefined && theirs.has(user_id)) applied.push({ one, outcome: "outranked", user_id });
    else if (user_id !== undefined) changed.push(one);
    else if (one.verdict.outcome === "create") created.push(one);
    else applied.push({ one, outcome: one.verdict.outcome, user_id: null });
  }
  applied.push(...(await create(plan, running, created)));
  applied.push(...(await change(plan, running, changed)));
  return applied;
}

/** Whom the row changes: nobody if it creates someone, waits, or is refused. */
function personOf({ row, verdict }: DecidedRow): string | undefined {
  if (verdict.outcome === "link") return verdict.user_id;
  return verdict.outcome === "update" || verdict.outcome === "return" ? (row.user_id ?? undefined) : undefined;
}

/** Those of these people whom a source that ranks before this one has, too: it decides, we only remember. Holds them. */
async function outranked(run: ImportRun, running: Running, ids: readonly string[]): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const { rows } = await sql<{ user_id: string }>`
    select a.user_id from accounts a join apps s on s.id = a.app_id, apps mine
    where mine.id = ${run.app_id} and a.user_id = any(${[...ids]}::text[]) and s.sourcing is not null
      and s.id <> mine.id and s.status = 'ACTIVE' and a.have is not null and s.source_priority < mine.source_priority`.execute(
    running.db,
  );
  const theirs = rows.map((row) => row.user_id);
  return theirs.length === 0 ? new Set() : lockPeople(running.db, theirs);
}

/** Of which type a new person is to be, as their row says. Null: the default one. */
function typeOfRow(
  types: readonly UserType[],
  attribute: string,
  { row: { profile } }: DecidedRow,
): string | null | Refusal {
  const said = (JSON.parse(profile) as Profile)[attribute];
  const named = typeNamed(types, said === undefined || said === null ? "" : String(said));
  return named === undefined ? null : isRefusal(named) ? named : storedTypeId(named.id);
}

async function create(plan: ImportPlan, running: Running, all: readonly DecidedRow[]): Promise<Applied[]> {
  if (all.length === 0) return [];
  const { run, urgency } = plan;
  const { type_attribute = null, auto_activate } = run.sourcing;
  const types = type_attribute === null ? [] : await listUserTypes(running.db);
  const provenance = { "*": { source: run.app_id } };
  const now = run.world.now();
  const unknown: Applied[] = [];
  const [rows, inputs]: [DecidedRow[], NewUser[]] = [[], []];
  for (const one of all) {
    const { profile, dates } = one;
    const type = type_attribute === null ? null : typeOfRow(types, type_attribute, one);
    if (isRefusal(type)) {
      unknown.push(refused(one, type));
      continue;
    }
    const known = "ok" in dates ? dates.ok.dates : {};
    const later = known.starts_at != null && known.starts_at > now;
    const of_type = type === null ? {} : { type_id: type };
    rows.push(one);
    inputs.push({ profile, activate: auto_activate && !later, ...known, ...of_type, provenance });
  }
  const created = inputs.length === 0 ? [] : await createUsersEach(running, inputs, { urgency });
  if (isRefusal(created)) throw new Error(created.refused);
  const applied = rows.map((one, n): Applied => {
    const user = created[n];
    if (user === undefined || isRefusal(user)) return refused(one, user);
    return { one, outcome: "created", user_id: user.id };
  });
  await writeTimes(run, running, timed(applied));
  return [...applied, ...unknown];
}

const refused = (one: DecidedRow, refusal: Refusal = { refused: "not done", code: "unavailable" }): Applied => ({
  ...{ one, outcome: "refused", user_id: null, refusal },
});

const timed = (applied: readonly Applied[]) =>
  applied.flatMap(({ one, user_id }) =>
    user_id === null || !("ok" in one.dates)
      ? []
      : [{ user_id, later: one.later, preparations: one.dates.ok.preparations }],
  );

/** Changes people, and then brings back those who return, by the source's rules. */
async function change(plan: ImportPlan, running: Running, rows: readonly DecidedRow[]): Promise<Applied[]> {
  if (rows.length === 0) return [];
  const { run, urgency } = plan;
  const provenance = { "*": { source: run.app_id } };
  const alias_attribute = run.sourcing.alias_attribute ?? null;
  const changes = rows.map((one): UserChange => {
    const dates = "ok" in one.dates ? one.dates.ok.dates : {};
    return { id: personOf(one) ?? "", profile: one.profile, ...dates, provenance, alias_attribute };
  });
  const changed = await updateUsersEach(running, changes, { deactivated: true, sourced: true, urgency });
  if (isRefusal(changed)) throw new Error(changed.refused);
  const done = rows.flatMap((one, n) => {
    const result = changed[n];
    return result === undefined || isRefusal(result) ? [] : [{ one, user: result.user }];
  });
  const away = await whoIsAway(
    running,
    done.flatMap(({ user }) => (user.status === "SUSPENDED" ? [user.id] : [])),
  );
  const back = done.flatMap(({ one, user }) =>
    turns(one, user, running.now()) && !(away.has(user.id) && !isAhead(user, running.now())) ? [user.id] : [],
  );
  const { reactivate_suspended, reactivate_deactivated } = run.sourcing;
  const event = { kind: "source_active" as const, reactivate_suspended, reactivate_deactivated };
  const kept = await turn(run, running, back, event);
  const applied = rows.map((one, n): Applied => {
    const result = changed[n];
    if (result === undefined || isRefusal(result)) return refused(one, result);
    const user_id = result.user.id;
    const refusal = kept.get(user_id);
    if (refusal !== undefined) return { one, outcome: "skipped", user_id: null, refusal };
    const outcomes = { link: "linked", update: "updated", return: "returned" } as const;
    const { changes } = result;
    return { one, outcome: outcomes[one.verdict.outcome as keyof typeof outcomes], user_id, changes };
  });
  await writeTimes(run, running, timed(applied));
  return applied;
}

const isAhead = ({ starts_at }: StoredUser, now: Date) => starts_at !== null && starts_at > now;

/** Is it for the state machine? Whoever returns, and whoever works here and whose first day was put off. */
function turns({ verdict, user: was }: DecidedRow, { starts_at, status }: StoredUser, now: Date): boolean {
  if (verdict.outcome === "return" || (verdict.outcome === "link" && verdict.former === true)) return true;
  if (verdict.outcome !== "update" || status === "STAGED" || starts_at === null || starts_at <= now) return false;
  // Someone whom an administrator let in before a first day that was ahead already stays in.
  return was === null || was.starts_at === null || was.starts_at <= now;
}

/** An event of the source for people. Gives, by person, why it did not happen. */
async function turn(
  run: ImportRun,
  running: Running,
  ids: readonly string[],
  event: UserEvent,
): Promise<ReadonlyMap<string, Refusal>> {
  if (ids.length === 0) return new Map();
  const results = await transitionUsers(running, ids, event, { reason: `${run.label} says so` });
  if (isRefusal(results)) throw new Error(results.refused);
  return new Map(results.flatMap((result, n) => (isRefusal(result) ? [[ids[n] ?? "", result] as const] : [])));
}
