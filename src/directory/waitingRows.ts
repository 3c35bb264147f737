/**
 * Rows of a source that wait for a person: who they may be, and what is decided about them. A decision changes nobody by
 * itself: the next import that has the row carries it out, so that it is sourced, dated, guarded and logged as any row is.
 */
import type { RawBuilder } from "kysely";
import type { Profile, Refusal } from "../core/types.ts";
import { type Database, isRefusal, sql } from "../store/database.ts";
import { type Command, logAll, run } from "./command.ts";

export type DecisionKind = "create" | "link" | "ignore";

/** A user whom a row matches. `score`: how alike by name, in per cent; null: they match exactly. `reasons`: what agrees. */
export type WaitingCandidate = Readonly<{
  id: string;
  login: string;
  score: number | null;
  reasons: readonly string[];
}>;

/** A row that waits, or that is ignored. `profile`: as a user. `candidates`: users whom it matches, the most alike first. */
export type WaitingRow = Readonly<{
  external_id: string;
  import_id: string;
  place: string | null;
  reason: string | null;
  profile: Profile | null;
  candidates: readonly WaitingCandidate[];
  decision: Readonly<{ kind: DecisionKind; user_id: string | null; by: string }> | null;
}>;

/** What is to become of a row; undo: what was decided is taken back, as long as no import has carried it out. */
export type Decision = Readonly<{ external_id: string; kind: DecisionKind | "undo"; user_id?: string }>;

/**
 * The rows that wait, in order of their ids: by the last import that tells of each since the last complete list. Of a row
 * that has become somebody's since, nothing waits any more.
 */
export async function listWaiting(
  db: Database,
  app_id: string,
  { after = "", limit, ids }: Readonly<{ after?: string; limit: number; ids?: readonly string[] }>,
): Promise<readonly WaitingRow[]> {
  const named = ids === undefined ? sql`true` : sql`r.external_id = any(${[...ids]}::text[])`;
  const { rows } = await sql<WaitingRow>`
    with ${lastTold(sql`a.id = ${app_id}`, sql`r.external_id > ${after} and ${named}`)}
    select l.external_id, l.import_id, l.detail->>'place' as place, l.detail->>'reason' as reason, l.detail->'user' as profile,
      coalesce((select jsonb_agg(jsonb_build_object('id', u.id, 'login', u.login, 'score', f.fit->'score',
          'reasons', coalesce(f.fit->'reasons', '[]')) order by (f.fit->>'score')::int desc nulls last, u.id)
        from users u cross join lateral (select l.detail->'fits'->u.id as fit) f
        where u.id = l.user_id or u.id in (select jsonb_array_elements_text(coalesce(l.detail->'candidates', '[]')))), '[]') as candidates,
      case when d.kind is not null then jsonb_build_object('kind', d.kind, 'user_id', d.user_id, 'by', d.decided_by) end as decision
    from last l left join import_decisions d on d.app_id = ${app_id} and d.external_id = l.external_id
    where (l.outcome = 'waiting' or d.kind = 'ignore' or l.detail ? 'ignored')
      and not exists (select from accounts a where a.app_id = ${app_id} and a.external_id = l.external_id)
    order by l.external_id limit ${limit}`.execute(db);
  return rows;
}

/** What the last import that tells of each row said of it, since the last complete list of its source. */
const lastTold = (apps: RawBuilder<unknown>, rows: RawBuilder<unknown>) => sql`
  since as (
    select a.id as app_id, coalesce((select max(c.id) from imports c where c.app_id = a.id and c.status = 'DONE'
      and not c.dry_run and c.mode = 'full' and (c.detail->>'complete')::boolean), '') as id
    from apps a where ${apps}),
  last as (
    select distinct on (i.app_id, r.external_id) r.*, i.app_id
    from since join imports i on i.app_id = since.app_id and i.id >= since.id join import_rows r on r.import_id = i.id
    where not i.dry_run and i.status in ('DONE', 'CANCELLED', 'FAILED')
      and ${rows} and r.outcome in ('waiting', 'skipped', 'refused')
    order by i.app_id, r.external_id, r.import_id desc)`;

/**
 * How many rows of each source wait and are not decided yet, as a query of `app_id` and `undecided` that others join;
 * sources of which no row waits are not in it.
 */
export const undecidedRows = (apps: RawBuilder<unknown>) => sql`
  with ${lastTold(sql`a.sourcing is not null and ${apps}`, sql`true`)}
  select l.app_id, count(*)::int as undecided from last l
  where (l.outcome = 'waiting' or l.detail ? 'ignored')
    and not exists (select from accounts a where a.app_id = l.app_id and a.external_id = l.external_id)
    and not exists (select from import_decisions d where d.app_id = l.app_id and d.external_id = l.external_id)
  group by l.app_id`;

/** Decides about rows of a source, all or none. Gives how many. */
export async function decideRows(
  command: Command,
  app_id: string,
  decisions: readonly Decision[],
): Promise<number | Refusal> {
  return run<number>(command, async (running) => {
    const wrong = await judgeDecisions(running.db, app_id, decisions);
    if (wrong !== undefined) return wrong;
    const ids = decisions.map(({ external_id }) => external_id);
    const { rows: before } = await sql<{ external_id: string }>`
      delete from import_decisions where app_id = ${app_id} and external_id = any(${ids}::text[])
      returning external_id`.execute(running.db);
    const decided = new Set(before.map(({ external_id }) => external_id));
    const open = decisions.find(({ external_id, kind }) => kind === "undo" && !decided.has(external_id));
    if (open !== undefined) return undecided(open);
    const made = decisions.filter(({ kind }) => kind !== "undo");
    await sql`
      insert into import_decisions (app_id, external_id, kind, user_id, decided_by, decided_at)
      select ${app_id}, external_id, kind, user_id, ${command.actor.name}, ${command.now()}::timestamptz
      from jsonb_to_recordset(${JSON.stringify(made)}::jsonb) as d(external_id text, kind text, user_id text)`.execute(
      running.db,
    );
    await logAll(
      running,
      decisions.map(({ external_id, kind, user_id }) => ({
        type: kind === "undo" ? "system.import.user_match.unignore" : "system.import.user_match.confirm",
        app_id,
        targets: [
          { id: app_id, type: "AppInstance" as const, name: "" },
          ...(user_id === undefined ? [] : [{ id: user_id, type: "User" as const, name: "" }]),
        ],
        detail: { row: external_id, decision: kind },
      })),
    );
    return decisions.length;
  });
}

const undecided = ({ external_id }: Decision): Refusal => ({
  refused: `nothing is decided about row ${external_id}: there is nothing to undo`,
  code: "stale",
  place: "rows",
});

async function judgeDecisions(
  db: Database,
  app_id: string,
  decisions: readonly Decision[],
): Promise<Refusal | undefined> {
  const linked = decisions.flatMap(({ kind, user_id }) => (kind === "link" && user_id !== undefined ? [user_id] : []));
  const ids = decisions.map(({ external_id }) => external_id);
  if (new Set(ids).size < ids.length) return { refused: "a row is named twice", code: "invalid", place: "rows" };
  if (new Set(linked).size < linked.length) {
    return { refused: "two rows cannot be the same person", code: "invalid", place: "rows" };
  }
  const taken = await judgeTaken(db, app_id, ids, linked);
  if (taken !== undefined) return taken;
  const waiting = new Set((await listWaiting(db, app_id, { limit: ids.length, ids })).map((row) => row.external_id));
  const stranger = ids.find((id) => !waiting.has(id));
  if (stranger !== undefined)
    return { refused: `there is no row ${stranger} that waits`, code: "not_found", place: "rows" };
  const found = await sql<{ id: string }>`select id from users where id = any(${linked}::text[])`.execute(db);
  const there = new Set(found.rows.map(({ id }) => id));
  const nobody = linked.find((id) => !there.has(id));
  return nobody === undefined ? undefined : { refused: `there is no user ${nobody}`, code: "not_found", place: "rows" };
}

/** A row that is somebody's already, or a user who has another row. */
async function judgeTaken(
  db: Database,
  app_id: string,
  ids: readonly string[],
  linked: readonly string[],
): Promise<Refusal | undefined> {
  const { rows } = await sql<{ external_id: string | null; user_id: string | null }>`
    select a.external_id, a.user_id from accounts a
    where a.app_id = ${app_id} and (a.external_id = any(${ids}::text[]) or (a.user_id = any(${linked}::text[])
      and coalesce((a.have->>'enabled')::boolean, false)))
    union all select d.external_id, d.user_id from import_decisions d
    where d.app_id = ${app_id} and d.user_id = any(${linked}::text[]) and d.external_id <> all(${ids}::text[]) limit 1`.execute(
    db,
  );
  const [other] = rows;
  if (other === undefined) return undefined;
  const refused = ids.includes(other.external_id ?? "")
    ? `row ${other.external_id} is somebody's already`
    : `user ${other.user_id} comes from row ${other.external_id} already`;
  return { refused, code: "duplicate", place: "rows" };
}

/**
 * Decides alike about every row that waits and is not decided yet: `link` where it matches exactly one user, whom no other
 * row matches or has. Gives how many.
 */
export async function decideAll(
  command: Command,
  app_id: string,
  kind: DecisionKind | "undo",
): Promise<number | Refusal> {
  // Of two rows that are the same person neither is clear, on whichever pages they are: so they are counted first.
  const claims = new Map<string, number>();
  if (kind === "link") {
    for await (const rows of openPages(command.db, app_id, kind)) {
      for (const id of rows.flatMap(onlyCandidate)) claims.set(id, (claims.get(id) ?? 0) + 1);
    }
  }
  let count = 0;
  for await (const rows of openPages(command.db, app_id, kind)) {
    const taken = kind === "link" ? await takenUsers(command.db, app_id, rows.flatMap(onlyCandidate)) : new Set();
    const decisions = rows.flatMap((row): Decision[] => {
      const { external_id } = row;
      if (kind !== "link") return [{ external_id, kind }];
      const free = onlyCandidate(row).filter((id) => claims.get(id) === 1 && !taken.has(id));
      return free.map((user_id) => ({ external_id, kind, user_id }));
    });
    const done = await decideRows(command, app_id, decisions);
    if (isRefusal(done)) return done;
    count += done;
  }
  return count;
}

const onlyCandidate = ({ candidates: [first, ...more] }: WaitingRow): string[] =>
  first === undefined || more.length > 0 ? [] : [first.id];

/** The rows that a decision about all concerns, page by page: those decided for undo, the undecided for all else. */
async function* openPages(db: Database, app_id: string, kind: DecisionKind | "undo") {
  let after = "";
  for (;;) {
    const rows = await listWaiting(db, app_id, { after, limit: page });
    yield rows.filter(({ decision }) => (decision !== null) === (kind === "undo"));
    after = rows.at(-1)?.external_id ?? after;
    if (rows.length < page) return;
  }
}

/** Those of the users who come from a row of the source already, or are linked to one by a decision. */
async function takenUsers(db: Database, app_id: string, users: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ user_id: string }>`
    select user_id from import_decisions where app_id = ${app_id} and user_id = any(${[...users]}::text[])
    union select user_id from accounts where app_id = ${app_id} and user_id = any(${[...users]}::text[])
      and coalesce((have->>'enabled')::boolean, false)`.execute(db);
  return new Set(rows.map(({ user_id }) => user_id));
}

const page = 1_000;
