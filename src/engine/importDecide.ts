/**
 * Deciding: for each row that is not as it was, what it is to become. The row is mapped to a user profile; a row of
 * someone we know is a change, a leave or a return; a stranger is matched by the source's attributes, linked, created,
 * or left waiting for a person when the match is not clear.
 */
import type { Facts } from "../core/expression/expression.ts";
import { type CompiledLine, mapProfile } from "../core/mapping.ts";
import type { Profile, UserStatus, Value } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import { loadSourceLines } from "./company.ts";
import type { ImportRun } from "./import.ts";
import { datesOf } from "./importDates.ts";
import { nextRows, type StagedRow, type Verdict, writeVerdicts } from "./importStage.ts";

const batch = 1_000;

type Known = Readonly<{ id: string; status: UserStatus; profile: Profile }>;

/** Decides every row that needs it, a thousand at a time. */
export async function decideImport(run: ImportRun): Promise<void> {
  const { world, id, request } = run;
  const lines = await loadSourceLines(world.db, run.app_id);
  let after: number | null = null;
  let done = 0;
  for (;;) {
    const rows = await nextRows(world.db, id, [null, "update"], after, batch);
    if (rows.length === 0) return;
    await writeVerdicts(world.db, id, await decideRows(run, lines, rows));
    after = rows.at(-1)?.line ?? null;
    done += rows.length;
    request.onProgress?.({ id, phase: "deciding", done, total: null });
  }
}

async function decideRows(
  run: ImportRun,
  lines: readonly CompiledLine<Facts>[],
  rows: readonly StagedRow[],
): Promise<Verdict[]> {
  const { db } = run.world;
  const known = await loadKnown(
    db,
    rows.flatMap((row) => row.user_id ?? []),
  );
  const mapped = rows.map((row) => mapRow(run, lines, row, known.get(row.user_id ?? "")));
  const matches = await matchRows(
    db,
    run,
    rows.flatMap((row, n) =>
      row.user_id === null && row.enabled ? [{ line: row.line, profile: mapped[n]?.profile ?? {} }] : [],
    ),
  );
  return rows.map((row, n) => {
    const { profile, errors } = mapped[n] ?? { profile: {}, errors: [] };
    if (errors.length > 0) {
      return refused(row, `${errors[0]?.attribute}: ${errors[0]?.message}`);
    }
    const dates = datesOf(run.sourcing, row.profile);
    // Whoever leaves leaves, whatever else their row says.
    if (row.enabled && "refused" in dates) return refused(row, dates.refused);
    const detail = { user: profile as Value, place: row.place };
    const user = known.get(row.user_id ?? "");
    if (user !== undefined) return { line: row.line, outcome: turnOf(row, user), detail };
    if (!row.enabled)
      return {
        line: row.line,
        outcome: "skipped",
        detail: { place: row.place, reason: "not active in the source, and nobody of ours" },
      };
    return strangerVerdict(run, row, profile, matches.get(row.line) ?? []);
  });
}

const refused = (row: StagedRow, reason: string): Verdict => ({
  line: row.line,
  outcome: "refused",
  detail: { place: row.place, reason },
});

function turnOf(row: StagedRow, user: Known): "update" | "leave" | "return" {
  if (!row.enabled) return "leave";
  return user.status === "DEPROVISIONED" || user.status === "SUSPENDED" ? "return" : "update";
}

type Match = Readonly<{ user_id: string; linked: boolean }>;

function strangerVerdict(run: ImportRun, row: StagedRow, profile: Profile, matches: readonly Match[]): Verdict {
  const detail = { user: profile as Value, place: row.place };
  if (matches.length === 0) return { line: row.line, outcome: "create", detail };
  const [match] = matches;
  if (matches.length > 1 || match === undefined) {
    const reason = `${matches.length} users match by ${run.sourcing.match_on.join(" and ")}: link it to one of them by hand`;
    return {
      line: row.line,
      outcome: "waiting",
      detail: { ...detail, reason, candidates: matches.map((m) => m.user_id) },
    };
  }
  if (match.linked) {
    return refused(
      row,
      `matches a user who already comes from another row of this source (${run.sourcing.match_on.join(", ")}): mend the source`,
    );
  }
  if (!run.sourcing.auto_confirm) {
    return {
      line: row.line,
      outcome: "waiting",
      user_id: match.user_id,
      detail: { ...detail, reason: "waits to be confirmed" },
    };
  }
  return { line: row.line, outcome: "link", user_id: match.user_id, detail };
}

function mapRow(run: ImportRun, lines: readonly CompiledLine<Facts>[], row: StagedRow, user: Known | undefined) {
  const facts: Facts = {
    user: user?.profile ?? {},
    user_id: user?.id ?? "",
    user_status: user?.status ?? "STAGED",
    groups: [],
    appuser: row.profile,
    source: row.profile,
    now: run.world.now(),
    time_zone: "UTC",
  };
  return mapProfile(lines, facts, user?.profile);
}

async function loadKnown(db: Database, ids: readonly string[]): Promise<ReadonlyMap<string, Known>> {
  if (ids.length === 0) return new Map();
  const { rows } = await sql<Known>`select id, status, profile from users where id = any(${[...ids]}::text[])`.execute(
    db,
  );
  return new Map(rows.map((row) => [row.id, row]));
}

/** Users that agree with a row in every attribute the source matches on, whatever the case; empty values match nobody. */
async function matchRows(
  db: Database,
  run: ImportRun,
  rows: readonly { line: number; profile: Profile }[],
): Promise<ReadonlyMap<number, readonly Match[]>> {
  const attributes = run.sourcing.match_on;
  const [first] = attributes;
  const complete = rows.filter(({ profile }) => attributes.every((name) => textOf(profile[name]) !== ""));
  if (complete.length === 0 || first === undefined) return new Map();
  const lines = complete.map(({ line, profile }) => ({
    line,
    key: textOf(profile[first]).toLowerCase(),
    keys: attributes.map((name) => textOf(profile[name]).toLowerCase()),
  }));
  // login and email have indexes; any other first attribute is a scan, once per thousand rows.
  const side = first === "login" ? sql`u.login` : sql`lower(u.profile->>${first})`;
  const { rows: found } = await sql<Match & { line: number }>`
    select r.line, u.id as user_id,
      exists (select 1 from accounts a where a.app_id = ${run.app_id} and a.user_id = u.id and a.external_id is not null) as linked
    from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb) as r(line int, key text, keys jsonb)
    join users u on ${side} = r.key
    where not exists (
      select 1 from unnest(${[...attributes]}::text[]) with ordinality as x(name, n)
      where lower(u.profile->>x.name) is distinct from r.keys->>(x.n::int - 1))
    order by r.line, u.id`.execute(db);
  return Map.groupBy(found, (row) => row.line);
}

const textOf = (value: Value | undefined) =>
  typeof value === "string" || typeof value === "number" ? String(value).trim() : "";
