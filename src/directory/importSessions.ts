/**
 * Sessions of sources that send their people by themselves (kind push): made, loaded, started, closed. A session that was
 * started waits until an import carries it out (engine/sessionRuns.ts); whose turn it is, is sessionTurns.ts.
 *
 * Laws: a source loads one session at a time; what it loads is bounded by the call, the session and the sessions that
 * wait; a session that nobody loads for a day is over. Commands on the sessions of one source go one by one (its app's row
 * is held). A single record is a session of its own, started as it is made.
 *
 * Called by server/okta/identity*.ts; `expireSessions` and `forgetRecords` by the schedule.
 */
import type { Selectable, Updateable } from "kysely";
import type { Refusal } from "../core/types.ts";
import type { ImportSessionRow } from "../store/apiTables.ts";
import { type Database, isRefusal, json, sql } from "../store/database.ts";
import type { Target } from "../store/tables.ts";
import { type Command, log, logAll, type Running, run } from "./command.ts";
import { overrideWaiting, type SessionRecord, writeRecords } from "./sessionRecords.ts";

export type ImportSession = Selectable<ImportSessionRow>;

/** Okta's limits; `waiting` and `singles` are ours: what is started and not carried out yet. */
export const session_limits = {
  calls: 50,
  entities: 200,
  bytes: 200 * 1024,
  idle_ms: 86_400_000,
  apart_ms: 300_000,
  waiting: 20,
  singles: 1_000,
} as const;

/** Singles that are done are kept for whoever waits for their answer. */
const done_ms = 3_600_000;

type Source = Readonly<{ id: string; label: string }>;

export const sessionTarget = (session: Pick<ImportSession, "id" | "app_id">, label: string): Target[] => [
  { id: session.id, type: "ImportSession", name: session.id },
  { id: session.app_id, type: "AppInstance", name: label },
];

/** Makes a session for a source to load. Refused while another is loaded, or one of the last minutes is under way. */
export function createSession(command: Command, app_id: string): Promise<ImportSession | Refusal> {
  return run<ImportSession>(command, async (running) => {
    const source = await holdSource(running, app_id);
    if (isRefusal(source)) return source;
    await expireSessions(running, app_id);
    const refused = await judgeNew(running, source);
    if (refused) return refused;
    const session = await insert(running, app_id, { single: false });
    await log(running, {
      type: "system.import.session.created",
      app_id,
      targets: sessionTarget(session, source.label),
    });
    return session;
  });
}

/**
 * May the source begin a session? Okta refuses one within five minutes of the last start that is still under way; we too,
 * so that clients which wait for it go on working, and not a moment longer than that one takes.
 */
async function judgeNew(running: Running, { id: app_id, label }: Source): Promise<Refusal | undefined> {
  const { rows } = await sql<ImportSession>`
    select * from import_sessions where app_id = ${app_id} and not single and status in ('CREATED', 'IN_PROGRESS', 'TRIGGERED')
    order by triggered_at desc nulls first`.execute(running.db);
  const open = rows.find(({ status }) => status !== "TRIGGERED");
  if (open) {
    return wrongState(
      `session ${open.id} of ${label} is ${open.status}: load it, start its import, or delete it first`,
    );
  }
  const [last] = rows;
  const free_at = (last?.triggered_at?.getTime() ?? 0) + session_limits.apart_ms;
  if (last && !last.held && free_at > running.now().getTime()) {
    const until = new Date(free_at).toISOString();
    return wrongState(
      `session ${last.id} of ${label} is being imported: begin another when it is done, or at ${until}`,
    );
  }
  if (rows.length < session_limits.waiting) return undefined;
  const held = rows.some((one) => one.held) ? ", one of them for a person's decision" : "";
  return wrongState(`${rows.length} sessions of ${label} wait to be imported${held}: begin another when one is done`);
}

type Start = Readonly<{ single: false }> | Readonly<{ single: true; cause: number }>;

async function insert(running: Running, app_id: string, start: Start): Promise<ImportSession> {
  const now = running.now();
  const actor = json(running.actor);
  const started = start.single
    ? { status: "TRIGGERED" as const, single: true, started_by: actor, triggered_at: now, cause: start.cause }
    : {};
  return running.db
    .insertInto("import_sessions")
    .values({ app_id, created_by: actor, created_at: now, updated_at: now, ...started })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Loads records into a session that takes them. Later words about the same person replace earlier ones. */
export function loadSession(
  command: Command,
  app_id: string,
  session_id: string,
  records: readonly SessionRecord[],
): Promise<ImportSession | Refusal> {
  return run<ImportSession>(command, async (running) => {
    const session = await holdSession(running, app_id, session_id);
    if (isRefusal(session)) return session;
    const refused = loadable(running, session);
    if (refused) return refused;
    if (session.calls >= session_limits.calls) {
      return wrongState(
        `session ${session_id} has been loaded ${session.calls} times, which is all it takes: start its import, and load the rest into another session`,
      );
    }
    await writeRecords(running, session_id, records);
    return update(running, session_id, { status: "IN_PROGRESS", calls: session.calls + 1, updated_at: running.now() });
  });
}

/** Starts the import of what a session holds. */
export function triggerSession(command: Command, app_id: string, session_id: string): Promise<ImportSession | Refusal> {
  return run<ImportSession>(command, async (running) => {
    const session = await holdSession(running, app_id, session_id);
    if (isRefusal(session)) return session;
    const refused = loadable(running, session);
    if (refused) return refused;
    if (session.status === "CREATED") return wrongState(`session ${session_id} holds nothing yet: load it first`);
    const cause = await log(running, {
      type: "system.import.session.triggered",
      app_id,
      targets: sessionTarget(session, session.label),
      detail: { calls: session.calls },
    });
    const now = running.now();
    return update(running, session_id, {
      ...{ status: "TRIGGERED", updated_at: now, triggered_at: now, started_by: json(running.actor), cause },
    });
  });
}

/** Closes a session that was not started, and forgets what it holds. */
export function closeSession(command: Command, app_id: string, session_id: string): Promise<ImportSession | Refusal> {
  return run<ImportSession>(command, async (running) => {
    const session = await holdSession(running, app_id, session_id);
    if (isRefusal(session)) return session;
    const refused = loadable(running, session);
    if (refused) return refused;
    await sql`delete from import_session_rows where session_id = ${session_id}`.execute(running.db);
    await log(running, {
      type: "system.import.session.cancelled",
      app_id,
      targets: sessionTarget(session, session.label),
    });
    return update(running, session_id, { status: "CLOSED", updated_at: running.now() });
  });
}

/**
 * Sends one record: a session of its own, which is started at once. Sessions that wait with an older word about the same
 * take over the newer one, so that the last word holds, in whatever order they are carried out.
 */
export function sendRecord(command: Command, app_id: string, record: SessionRecord): Promise<ImportSession | Refusal> {
  return run<ImportSession>(command, async (running) => {
    const source = await holdSource(running, app_id);
    if (isRefusal(source)) return source;
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from import_sessions where app_id = ${app_id} and single and status = 'TRIGGERED'`.execute(
      running.db,
    );
    if ((rows[0]?.n ?? 0) >= session_limits.singles) {
      return wrongState(
        `${session_limits.singles} records of ${source.label} wait to be imported: decide about those that are held, or send more later`,
      );
    }
    await overrideWaiting(running, app_id, record);
    const cause = await log(running, {
      type: "system.import.session.triggered",
      app_id,
      targets: [{ id: app_id, type: "AppInstance", name: source.label }],
      detail: { single: record.kind, external_id: record.external_id, gone: record.gone ?? false },
    });
    const session = await insert(running, app_id, { single: true, cause });
    await writeRecords(running, session.id, [record]);
    return session;
  });
}

/** Ends sessions that nobody has loaded for a day, of one source or of all. Gives how many. */
export async function expireSessions(command: Command, app_id?: string): Promise<number> {
  const now = command.now();
  const idle_since = new Date(now.getTime() - session_limits.idle_ms);
  const expired = await run<readonly (ImportSession & { label: string })[]>(command, async (running) => {
    const { rows } = await sql<ImportSession & { label: string }>`
      update import_sessions s set status = 'EXPIRED', updated_at = ${now}::timestamptz from apps a
      where s.id in (
          select id from import_sessions where status in ('CREATED', 'IN_PROGRESS') and updated_at <= ${idle_since}::timestamptz
            and ${app_id === undefined ? sql`true` : sql`app_id = ${app_id}`} order by id for update skip locked)
        and a.id = s.app_id
      returning s.*, a.label`.execute(running.db);
    if (rows.length === 0) return rows;
    await sql`delete from import_session_rows where session_id = any(${rows.map(({ id }) => id)}::text[])`.execute(
      running.db,
    );
    await logAll(
      running,
      rows.map((session) => ({
        type: "system.import.session.expired",
        app_id: session.app_id,
        targets: sessionTarget(session, session.label),
      })),
    );
    return rows;
  });
  return isRefusal(expired) ? 0 : expired.length;
}

/** Forgets single records that were imported and answered long ago. It reads all sessions: for once an hour. */
export async function forgetRecords(command: Command): Promise<void> {
  const done_since = new Date(command.now().getTime() - done_ms);
  await sql`
    delete from import_sessions where single and status <> 'TRIGGERED' and updated_at <= ${done_since}::timestamptz`.execute(
    command.db,
  );
}

/** The sessions of a source that are loaded or wait to be imported, the newest first. */
export async function activeSessions(db: Database, app_id: string): Promise<readonly ImportSession[]> {
  const { rows } = await sql<ImportSession>`
    select * from import_sessions where app_id = ${app_id} and not single and status in ('CREATED', 'IN_PROGRESS', 'TRIGGERED')
    order by id desc`.execute(db);
  return rows;
}

/** A session of a source, also a single record; undefined: there is none. */
export async function getSession(db: Database, app_id: string, id: string): Promise<ImportSession | undefined> {
  return db
    .selectFrom("import_sessions")
    .selectAll()
    .where("app_id", "=", app_id)
    .where("id", "=", id)
    .executeTakeFirst();
}

/** Holds a source's app, so that commands on its sessions go one by one. Refused for what is no identity source. */
async function holdSource(running: Running, app_id: string): Promise<Source | Refusal> {
  const { rows } = await sql<Source & { kind: string; status: string; is_source: boolean }>`
    select id, label, kind, status, sourcing is not null as is_source from apps where id = ${app_id}
    for no key update`.execute(running.db);
  const app = rows[0];
  if (app === undefined) return { refused: `there is no app ${app_id.slice(0, 100)}`, code: "not_found" };
  const place = "identitySourceId";
  if (app.kind !== "push") {
    const refused = `${app.label} is of kind ${app.kind}: people are sent to sources of kind push only`;
    return { refused, code: "invalid", place };
  }
  if (!app.is_source)
    return { refused: `${app.label} is no source: turn sourcing on for it first`, code: "invalid", place };
  if (app.status === "ACTIVE") return app;
  return { refused: `${app.label} is switched off: activate it first`, code: "invalid", place };
}

async function holdSession(
  running: Running,
  app_id: string,
  session_id: string,
): Promise<(ImportSession & { label: string }) | Refusal> {
  const source = await holdSource(running, app_id);
  if (isRefusal(source)) return source;
  const { rows } = await sql<ImportSession>`
    select * from import_sessions where id = ${session_id} and app_id = ${app_id} and not single for update`.execute(
    running.db,
  );
  if (rows[0]) return { ...rows[0], label: source.label };
  const refused = `there is no session ${session_id.slice(0, 100)} of ${source.label}`;
  return { refused, code: "not_found", place: session_id };
}

function loadable(running: Running, { id, status, updated_at }: ImportSession): Refusal | undefined {
  if (status !== "CREATED" && status !== "IN_PROGRESS") {
    return wrongState(
      `session ${id} is ${status}: only one that is CREATED or IN_PROGRESS can be changed; begin another`,
    );
  }
  if (updated_at.getTime() + session_limits.idle_ms > running.now().getTime()) return undefined;
  return wrongState(`session ${id} is EXPIRED: nothing was loaded for a day; begin another`);
}

const wrongState = (refused: string): Refusal => ({ refused, code: "invalid", place: "importSessionId" });

function update(running: Running, id: string, change: Updateable<ImportSessionRow>): Promise<ImportSession> {
  return running.db
    .updateTable("import_sessions")
    .set(change)
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
}
