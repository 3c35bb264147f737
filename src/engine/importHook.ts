/**
 * The hook of a source: an outside system that is asked about every stranger whom an import is about to make a person or
 * to link to one, and whose answer may change the values, or whom the row is linked to.
 *
 * Laws, in Okta's contract: one call a row, after mapping and matching, before anything is written, and outside every
 * transaction; rows of people we know are never asked about. What it changes of the row goes through mapping and matching
 * like any other row. A hook that says no refuses the row. One that does not answer is what its `on_failure` says:
 * nothing, or a refusal that the next import asks about again. After ten silences in a row it is not asked again in this
 * import. A dry run asks, too: without it nobody could tell what would become of a row.
 *
 * Ours: so many calls at a time. An import without a hook does nothing of this. Called by importPass.ts.
 */
import { type HookAnswer, hookEvent, type ImportChange, importChange } from "../core/inlineHook.ts";
import { combinationsOf } from "../core/match.ts";
import type { Outcome, Profile, Value } from "../core/types.ts";
import { logAll } from "../directory/command.ts";
import { getInlineHook } from "../directory/inlineHooks.ts";
import { column } from "../store/columns.ts";
import { sql } from "../store/database.ts";
import { type HookReply, hookCalled, type OpenHook, openHook } from "./callHook.ts";
import type { ImportRun } from "./import.ts";
import { rows_key } from "./importDates.ts";
import { type DecidedRow, decideChunk, type MappedRow, mapRow } from "./importDecide.ts";
import type { ImportPlan } from "./importPass.ts";

/**
 * A source's hook during an import. `silent`: how often in a row it gave no answer, `why`: the last time; `unanswered`: rows
 * about which it said nothing.
 */
export type ImportHook = Readonly<{
  open: OpenHook;
  app: Value;
  state: { silent: number; why: string; unanswered: number };
}>;

/** Rows of a chunk: their answers are in memory together, and after a crash they are asked about again. */
export const asked_size = 160;
const calls_max = 16;
const silences_max = 10;

/** Opens the hook that the source names; undefined: none, or it is switched off. A hook that cannot be called is silent. */
export async function openImportHook(run: ImportRun): Promise<ImportHook | undefined> {
  const id = run.sourcing.import_hook ?? null;
  if (id === null) return undefined;
  const hook = await getInlineHook(run.world.db, id);
  if (hook === undefined || hook.status !== "ACTIVE") return undefined;
  const opened = await openHook(run.world, hook, calls_max);
  const { rows } = await sql<{ name: string; label: string; status: string }>`
    select name, label, status from apps where id = ${run.app_id}`.execute(run.world.db);
  const app = { ...rows[0], id: run.app_id };
  if ("ok" in opened) return { open: opened.ok, app, state: { silent: 0, why: "", unanswered: 0 } };
  const open: OpenHook = { hook, ask: async () => opened, close: async () => {} };
  return { open, app, state: { silent: silences_max, why: opened.refused, unanswered: 0 } };
}

/** Asks about the strangers of a chunk. Gives its rows as the hook will have them. */
export async function askImportHook(
  plan: ImportPlan,
  hook: ImportHook,
  decided: readonly DecidedRow[],
  signal: AbortSignal,
): Promise<readonly DecidedRow[]> {
  const asked = decided.filter(
    ({ user, chosen, verdict: { outcome } }) =>
      user === null && chosen !== true && (outcome === "create" || outcome === "link"),
  );
  if (asked.length === 0) return decided;
  const conflicts = await loginsTaken(plan, asked);
  const outcomes = await inParallel(asked, (one) => ask(plan, hook, one, conflicts, signal));
  await logCalls(plan.run, hook, asked, outcomes);
  const told = new Map<DecidedRow, Told>(asked.map((one, n) => [one, follow(plan, hook, one, outcomes[n])]));
  return settle(plan, decided, told);
}

/** What people are told when the import has ended; undefined: the hook answered every time. */
export function unheard({ open: { hook }, state }: ImportHook): string | undefined {
  if (state.unanswered === 0) return undefined;
  const done =
    hook.on_failure === "continue" ? "taken as they are" : "refused, and asked about again by the next import";
  const rows = state.unanswered === 1 ? "1 row, which was" : `${state.unanswered} rows, which were`;
  return `the hook ${hook.name} gave no answer about ${rows} ${done}: ${state.why}`;
}

/** What a hook made of a row: refused, or a row to go on with. */
type Told = Readonly<{ refused: string }> | Readonly<{ mapped: MappedRow; change: ImportChange }>;

async function ask(
  { run }: ImportPlan,
  hook: ImportHook,
  one: DecidedRow,
  conflicts: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<Outcome<HookReply> | undefined> {
  if (hook.state.silent >= silences_max) return undefined;
  const { id, type } = hook.open.hook;
  const at = run.world.now();
  const data = dataOf(run, hook, one, conflicts);
  const event = hookEvent({ source: id, event_id: `${run.id}.${one.row.line}`, at, type, data });
  const outcome = understood(await hook.open.ask(event, { again: true, signal }));
  if ("ok" in outcome) hook.state.silent = 0;
  else Object.assign(hook.state, { silent: hook.state.silent + 1, why: outcome.refused });
  return outcome;
}

/** An answer with commands that nobody can follow is none. */
function understood(outcome: Outcome<HookReply>): Outcome<HookReply> {
  const change = "ok" in outcome ? changeOf(outcome.ok.answer) : outcome;
  return "refused" in change ? change : outcome;
}

function dataOf(
  run: ImportRun,
  hook: ImportHook,
  { row, profile, verdict }: DecidedRow,
  conflicts: ReadonlySet<string>,
): Value {
  const linked = verdict.outcome === "link" ? verdict.user_id : undefined;
  const names: Readonly<Record<string, string>> = { email: "EMAIL", login: "USERNAME" };
  return {
    context: {
      conflicts: linked === undefined && conflicts.has(textOf(profile["login"])) ? ["login"] : [],
      application: hook.app,
      job: { id: run.id, type: "import:users", dryRun: run.request.dry_run ?? false },
      matches: linked === undefined ? [] : [{ id: linked }],
      policy: [...new Set(combinationsOf(run.sourcing.match_on).flat())].map((name) => names[name] ?? name),
    },
    action: { result: linked === undefined ? "CREATE_USER" : "LINK_USER" },
    appUser: { profile: { ...(JSON.parse(row.profile) as Profile) } },
    user: { ...(linked === undefined ? {} : { id: linked }), profile: { ...profile } },
  };
}

const textOf = (value: Value | undefined) => (typeof value === "string" ? value.trim().toLowerCase() : "");

/** Logins of rows that are to make somebody, which other people have. */
async function loginsTaken(plan: ImportPlan, asked: readonly DecidedRow[]): Promise<ReadonlySet<string>> {
  const logins = asked.flatMap(({ profile, verdict }) =>
    verdict.outcome === "create" ? [textOf(profile["login"])] : [],
  );
  if (logins.length === 0) return new Set();
  const { rows } = await sql<{ login: string }>`
    select login from users where login = any(${logins}::text[])`.execute(plan.run.world.db);
  return new Set(rows.map(({ login }) => login));
}

/** Does the work for every item, so many at a time, and gives the results in the items' order. The first error is thrown. */
async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  let next = 0;
  const one = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T);
  };
  await Promise.all(Array.from({ length: Math.min(calls_max, items.length) }, one));
  return results;
}

async function logCalls(
  run: ImportRun,
  { open: { hook } }: ImportHook,
  asked: readonly DecidedRow[],
  outcomes: readonly (Outcome<HookReply> | undefined)[],
): Promise<void> {
  const events = asked.flatMap(({ row }, n) => {
    const outcome = outcomes[n];
    if (outcome === undefined) return [];
    const detail = { import: run.id, row: row.external_id, dry_run: run.request.dry_run ?? false };
    return [{ ...hookCalled(hook, outcome, detail), app_id: run.app_id }];
  });
  await logAll(run.command, events);
}

/** The row with what the hook said of it. */
function follow(plan: ImportPlan, hook: ImportHook, one: DecidedRow, outcome: Outcome<HookReply> | undefined): Told {
  const { name, on_failure } = hook.open.hook;
  const change = outcome === undefined || "refused" in outcome ? outcome : changeOf(outcome.ok.answer);
  if (change !== undefined && "ok" in change) return { mapped: changed(plan, one, change.ok), change: change.ok };
  if (change !== undefined && "no" in change) return { refused: `the hook ${name} refuses it: ${change.no}` };
  hook.state.unanswered += 1;
  if (on_failure === "continue") return { mapped: one, change: { row: {}, user: {} } };
  const why = change === undefined ? `${silences_max} times in a row (${hook.state.why})` : `(${change.refused})`;
  return { refused: `the hook ${name} gave no answer ${why}; the next import asks again` };
}

function changeOf({ error, commands }: HookAnswer): Outcome<ImportChange> | Readonly<{ no: string }> {
  return error === null ? importChange(commands) : { no: error };
}

function changed(plan: ImportPlan, one: DecidedRow, { row, user }: ImportChange): MappedRow {
  const remapped = Object.keys(row).length > 0;
  if (!remapped && Object.keys(user).length === 0) return one;
  const mapped = remapped ? mapRow(plan, withRow(JSON.parse(one.row.profile) as Profile, row), null) : one;
  const later = mapped.later.map((change) => ({ ...change, profile: { ...change.profile, ...user } }));
  return { ...one, ...mapped, profile: { ...mapped.profile, ...user }, later };
}

/** What the hook says of a person holds for each of their rows. */
function withRow(own: Profile, row: Profile): Profile {
  const rows = own[rows_key];
  if (!Array.isArray(rows)) return { ...own, ...row };
  const each = (rows as readonly { profile: Profile }[]).map((one) => ({
    ...one,
    profile: { ...one.profile, ...row },
  }));
  return { ...own, ...row, [rows_key]: each as unknown as Value };
}

/** The verdicts of a chunk after the hook has spoken: rows that it changed are matched anew, unless it said with whom. */
async function settle(
  plan: ImportPlan,
  decided: readonly DecidedRow[],
  told: ReadonlyMap<DecidedRow, Told>,
): Promise<readonly DecidedRow[]> {
  const heard = [...told].flatMap(([one, what]) => ("refused" in what ? [] : [{ one, ...what }]));
  const again = heard.filter(
    ({ one, mapped, change }) => mapped !== one && change.action === undefined && !change.user_id,
  );
  const rematched = await decideChunk(
    plan.run.world.db,
    plan,
    again.map(({ mapped }) => mapped),
    { hope: false },
  );
  const anew = new Map(again.map(({ one }, n) => [one, rematched[n] ?? one]));
  const people = await findPeople(plan, [...new Set(heard.flatMap(({ change }) => change.user_id ?? []))]);
  const rows = decided.map((one): DecidedRow => {
    const what = told.get(one);
    if (what === undefined) return one;
    if ("refused" in what) return { ...one, verdict: { outcome: "refused", reason: what.refused } };
    return anew.get(one) ?? obeyed(one, what.mapped, what.change, people);
  });
  return eachPersonOnce(rows);
}

/** The row as the hook says, where it says what is to become of it. */
function obeyed(
  one: DecidedRow,
  mapped: MappedRow,
  { action, user_id }: ImportChange,
  people: ReadonlyMap<string, string | null>,
): DecidedRow {
  const found = one.verdict.outcome === "link" ? one.verdict.user_id : undefined;
  const refuse = (reason: string) => judged(mapped, { outcome: "refused", reason });
  if (action === "CREATE_USER") return judged(mapped, { outcome: "create" }, true);
  if (action === undefined && user_id === undefined) return one;
  if (action === undefined && found === undefined)
    return refuse(`the hook names ${user_id} and does not say LINK_USER`);
  const id = user_id ?? found;
  if (id === undefined) return refuse("the hook says LINK_USER, and not to whom: it must name the user");
  const row = id === found ? null : people.get(id);
  if (row === undefined) return refuse(`the hook links it to ${id}, and there is no such user`);
  if (row !== null) return refuse(`the hook links it to ${id}, who comes from row ${row} of this source already`);
  return judged(mapped, { outcome: "link", user_id: id });
}

/** Of rows that are linked to the same person the first has them, whoever said so. */
function eachPersonOnce(rows: readonly DecidedRow[]): readonly DecidedRow[] {
  const taken = new Map<string, string>();
  return rows.map((one) => {
    if (one.verdict.outcome !== "link") return one;
    const { user_id } = one.verdict;
    const other = taken.get(user_id);
    if (other === undefined) taken.set(user_id, one.row.external_id);
    if (other === undefined) return one;
    const reason = `matches a user who already comes from another row (${other}) of this source: mend the source, or its hook`;
    return { ...one, verdict: { outcome: "refused", reason } };
  });
}

/** `chosen`: the hook said so, and nobody looks for another person. */
function judged(mapped: MappedRow, verdict: DecidedRow["verdict"], chosen?: true): DecidedRow {
  const problem = mapped.problems[0] ?? ("refused" in mapped.dates ? mapped.dates.refused : undefined);
  return {
    ...mapped,
    verdict: problem === undefined ? verdict : { outcome: "refused", reason: problem },
    ...(chosen ? { chosen } : {}),
  };
}

/** Which of these people are there: id → the row of this source that they come from, null: from none. */
async function findPeople({ run }: ImportPlan, ids: readonly string[]): Promise<ReadonlyMap<string, string | null>> {
  if (ids.length === 0) return new Map();
  const { rows } = await sql<{ id: string; row: string | null }>`
    select u.id, (select coalesce(a.external_id, '') from accounts a where a.app_id = ${run.app_id} and a.user_id = u.id) as row
    from unnest(${column(ids, (id) => id)}::text[]) as g(id) join users u on u.id = g.id`.execute(run.world.db);
  return new Map(rows.map(({ id, row }) => [id, row]));
}
