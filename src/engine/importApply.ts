/**
 * Applying: decided rows become users, changes, leaves and returns, in batches of one transaction each, so that what a
 * batch did to people, to the source's account rows and to the verdicts is one fact. A row that is refused says why and
 * does not stop the rest.
 */
import type { Profile, Refusal } from "../core/types.ts";
import { type Running, run as runCommand } from "../directory/command.ts";
import { transitionUsers } from "../directory/userLifecycle.ts";
import { createUsersEach, type NewUser, type UserChange, updateUsersEach } from "../directory/users.ts";
import { isRefusal, sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import { datesOf, type PersonDates } from "./importDates.ts";
import { type Verdict, writeVerdicts } from "./importStage.ts";

const batch = 500;

type Decided = Readonly<{
  line: number;
  external_id: string;
  profile: Profile;
  enabled: boolean;
  user_id: string | null;
  outcome: "create" | "link" | "update" | "return" | "leave" | "vanish";
  user: Profile | null;
  place: string;
  /** A source that ranks before this one has the person too: it decides, we only remember. */
  outranked: boolean;
}>;

/** Applies every decided row; stops between two batches when asked to. */
export async function applyImport(run: ImportRun, signal: AbortSignal): Promise<void> {
  const { world, id, request } = run;
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from import_rows where import_id = ${id} and outcome in ('create', 'link', 'update', 'return', 'leave', 'vanish')`.execute(
    world.db,
  );
  let done = 0;
  for (const outcomes of [
    ["create", "link", "update", "return"],
    ["leave", "vanish"],
  ] as const) {
    for (let after = -2_147_483_648; ; ) {
      signal.throwIfAborted();
      const decided = await loadDecided(run, outcomes, after);
      if (decided.length === 0) break;
      await applyBatch(run, decided);
      after = decided.at(-1)?.line ?? 0;
      done += decided.length;
      request.onProgress?.({ id, phase: "applying", done, total: rows[0]?.n ?? null });
    }
  }
}

async function loadDecided(run: ImportRun, outcomes: readonly string[], after: number): Promise<readonly Decided[]> {
  const { rows } = await sql<Decided>`
    select r.line, r.external_id, r.profile, r.enabled, r.user_id, r.outcome, r.detail->'user' as user,
      coalesce(r.detail->>'place', r.external_id) as place,
      exists (
        select 1 from accounts a join apps s on s.id = a.app_id, apps mine
        where mine.id = ${run.app_id} and a.user_id = r.user_id and s.sourcing is not null and s.id <> mine.id
          and s.status = 'ACTIVE' and a.have is not null and s.source_priority < mine.source_priority) as outranked
    from import_rows r
    where r.import_id = ${run.id} and r.outcome = any(${[...outcomes]}::text[]) and r.line > ${after}
    order by r.line limit ${batch}`.execute(run.world.db);
  return rows;
}

/** One batch, one transaction. */
async function applyBatch(run: ImportRun, decided: readonly Decided[]): Promise<void> {
  const result = await runCommand(run.command, async (running) => {
    const verdicts: Verdict[] = [];
    const mine = decided.filter((row) => !row.outranked);
    await create(
      run,
      running,
      mine.filter((row) => row.outcome === "create"),
      verdicts,
    );
    await change(
      run,
      running,
      mine.filter((row) => row.outcome === "link" || row.outcome === "update" || row.outcome === "return"),
      verdicts,
    );
    await turn(run, running, mine, verdicts);
    verdicts.push(
      ...decided
        .filter((row) => row.outranked)
        .map((row) => ({ line: row.line, outcome: "outranked", user_id: row.user_id })),
    );
    await linkAccounts(run, running, decided, verdicts);
    await writeVerdicts(running.db, run.id, verdicts);
    return true;
  });
  if (isRefusal(result)) throw new Error(result.refused);
}

function refusedRow(row: Decided, refusal: Refusal): Verdict {
  const where = refusal.place === undefined ? "" : ` (${refusal.place})`;
  return {
    line: row.line,
    outcome: "refused",
    detail: { place: row.place, reason: `${refusal.refused}${where}` },
  };
}

async function create(run: ImportRun, running: Running, rows: readonly Decided[], verdicts: Verdict[]): Promise<void> {
  if (rows.length === 0) return;
  const inputs = rows.map((row): NewUser => {
    const dates = judgedDates(run, row);
    const later = dates.starts_at != null && dates.starts_at > run.world.now();
    return {
      profile: row.user ?? {},
      activate: run.sourcing.auto_activate && !later,
      ...dates,
      provenance: { "*": { source: run.app_id } },
    };
  });
  const created = await createUsersEach(running, inputs);
  if (isRefusal(created)) throw new Error(created.refused);
  for (const [n, row] of rows.entries()) {
    const user = created[n];
    if (user === undefined || isRefusal(user))
      verdicts.push(refusedRow(row, user ?? { refused: "not created", code: "invalid" }));
    else verdicts.push({ line: row.line, outcome: "created", user_id: user.id });
  }
}

async function change(run: ImportRun, running: Running, rows: readonly Decided[], verdicts: Verdict[]): Promise<void> {
  if (rows.length === 0) return;
  const changes = rows.map(
    (row): UserChange => ({
      id: row.user_id ?? "",
      profile: row.user ?? {},
      ...judgedDates(run, row),
      provenance: { "*": { source: run.app_id } },
    }),
  );
  const changed = await updateUsersEach(running, changes, { deactivated: true });
  if (isRefusal(changed)) throw new Error(changed.refused);
  for (const [n, row] of rows.entries()) {
    const one = changed[n];
    const names = { link: "linked", update: "updated", return: "returned" } as const;
    if (one === undefined || isRefusal(one))
      verdicts.push(refusedRow(row, one ?? { refused: "not changed", code: "invalid" }));
    else verdicts.push({ line: row.line, outcome: names[row.outcome as keyof typeof names], user_id: row.user_id });
  }
}

/** Leaves and returns, by the source's rules; holds and protected people are skipped with the reason. */
async function turn(run: ImportRun, running: Running, rows: readonly Decided[], verdicts: Verdict[]): Promise<void> {
  const { on_inactive, reactivate_suspended, reactivate_deactivated } = run.sourcing;
  const refused = new Set(verdicts.filter((verdict) => verdict.outcome === "refused").map((verdict) => verdict.line));
  const turns = [
    {
      rows: rows.filter((row) => row.outcome === "leave" || row.outcome === "vanish"),
      event: { kind: "source_inactive" as const, mode: on_inactive },
      done: "left",
    },
    {
      rows: rows.filter((row) => row.outcome === "return" && !refused.has(row.line)),
      event: { kind: "source_active" as const, reactivate_suspended, reactivate_deactivated },
      done: "returned",
    },
  ];
  for (const { rows: some, event, done } of turns) {
    if (some.length === 0) continue;
    const results = await transitionUsers(
      running,
      some.map((row) => row.user_id ?? ""),
      event,
      { reason: `${run.label} says so` },
    );
    if (isRefusal(results)) throw new Error(results.refused);
    for (const [n, row] of some.entries()) {
      const result = results[n];
      if (result !== undefined && isRefusal(result)) {
        verdicts.push({
          line: row.line,
          outcome: "skipped",
          detail: { place: row.place, reason: result.refused },
        });
      } else verdicts.push({ line: row.line, outcome: done, user_id: row.user_id });
    }
  }
}

/** Rows with dates that cannot be read were refused when they were decided. */
function judgedDates(run: ImportRun, row: Decided): PersonDates {
  const dates = datesOf(run.sourcing, row.profile);
  return "ok" in dates ? dates.ok : {};
}

/**
 * What the source says of each person, so that the next import finds them unchanged. Not of those who were refused or
 * skipped: what could not be done today, because of a hold or a mistake, is asked for again tomorrow.
 */
async function linkAccounts(
  run: ImportRun,
  running: Running,
  decided: readonly Decided[],
  verdicts: readonly Verdict[],
): Promise<void> {
  const last = new Map(verdicts.map((verdict) => [verdict.line, verdict]));
  const lines = decided.flatMap((row) => {
    const verdict = last.get(row.line);
    const user_id = verdict?.user_id ?? row.user_id;
    if (verdict?.outcome === "refused" || verdict?.outcome === "skipped" || user_id === null || user_id === undefined)
      return [];
    return [{ user_id, external_id: row.external_id, have: { enabled: row.enabled, profile: row.profile } }];
  });
  await sql`
    insert into accounts as a (app_id, user_id, external_id, have, synced_at)
    select ${run.app_id}, user_id, external_id, have, ${running.now()}::timestamptz
    from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as l(user_id text, external_id text, have jsonb)
    order by user_id
    on conflict (app_id, user_id) do update set external_id = excluded.external_id, have = excluded.have,
      have_revision = a.have_revision + 1, synced_at = excluded.synced_at, updated_at = excluded.synced_at`.execute(
    running.db,
  );
}
