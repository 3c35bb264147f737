/**
 * What sources send: a record says of one person, one group or one member how it is, or that it is gone. Records wait in
 * `import_session_rows` until an import takes them.
 *
 * Law: of a session only its last word about each counts. Called by importSessions.ts.
 */
import { column } from "../store/columns.ts";
import { sql } from "../store/database.ts";
import type { Running } from "./command.ts";

/** Attribute → text; null: it has no value. */
export type RecordProfile = Readonly<Record<string, string | null>>;

/**
 * `external_id`: of the person or the group. `member_id`: of the person who is in the group. `partial`: what the profile
 * does not name stays.
 */
export type SessionRecord = Readonly<{
  kind: "user" | "group" | "member";
  external_id: string;
  member_id?: string;
  profile?: RecordProfile;
  gone?: boolean;
  partial?: boolean;
}>;

/** Writes a session's records in one statement; each is there once in `records`. */
export async function writeRecords(
  running: Running,
  session_id: string,
  records: readonly SessionRecord[],
): Promise<void> {
  if (records.length === 0) return;
  await sql`
    insert into import_session_rows (session_id, kind, external_id, member_id, profile, gone, partial)
    select ${session_id}, r.kind, r.external_id, coalesce(r.member_id, ''), coalesce(r.profile::jsonb, '{}'),
      coalesce(r.gone, false), coalesce(r.partial, false)
    from rows from (unnest(${column(records, (one) => one.kind)}::text[]),
      unnest(${column(records, (one) => one.external_id)}::text[]), unnest(${column(records, (one) => one.member_id)}::text[]),
      unnest(${column(records, (one) => one.profile && JSON.stringify(one.profile))}::text[]),
      unnest(${column(records, (one) => one.gone)}::boolean[]), unnest(${column(records, (one) => one.partial)}::boolean[]))
      with ordinality as r(kind, external_id, member_id, profile, gone, partial, n)
    order by r.n
    on conflict (session_id, kind, external_id, member_id) do update
      set profile = excluded.profile, gone = excluded.gone, partial = excluded.partial`.execute(running.db);
}

/**
 * A newer word than those that wait: a change of some attributes is laid over them (who is gone there stays gone: this
 * word was for somebody whom that session will end), anything else takes their place.
 */
export async function overrideWaiting(running: Running, app_id: string, record: SessionRecord): Promise<void> {
  const { kind, external_id, member_id = "", profile = {}, partial = false } = record;
  const waiting = sql`
    r.kind = ${kind} and r.external_id = ${external_id} and r.member_id = ${member_id} and r.session_id in (
      select id from import_sessions where app_id = ${app_id} and status = 'TRIGGERED')`;
  if (!partial) await sql`delete from import_session_rows r where ${waiting}`.execute(running.db);
  else {
    await sql`
      update import_session_rows r set profile = r.profile || ${JSON.stringify(profile)}::jsonb
      where ${waiting} and not r.gone`.execute(running.db);
  }
}
