/**
 * What a person had when they left, so that a return can give it back (okta-lifecycle 10). Deactivation ends the
 * individual assignments; group memberships stay, and with them what groups grant.
 *
 * Law: the snapshot lies on the account of each app (`accounts.snapshot`): when it was taken, the grants that ended, and
 * what the account was then wanted to be. Only the snapshots of the latest departure count.
 * Called by userLifecycle.ts (take) and, on an administrator's word, by the API (restore).
 */
import type { GrantKind, Profile, Refusal, Value, Want } from "../core/types.ts";
import { sql } from "../store/database.ts";
import { type Command, logAll, type Running, run } from "./command.ts";
import { type Mark, markDirtyEach } from "./marks.ts";

/** An individual assignment that ended with a departure. */
export type KeptGrant = Readonly<{
  kind: GrantKind;
  source_id: string;
  reason: string | null;
  profile: Profile;
  expires_at: string | null;
}>;

/** `accounts.snapshot`: an account as it was when its person left. */
export type Snapshot = Readonly<{ at: string; grants: readonly KeptGrant[]; want: Want | null }>;

/** An app that a return can give back, and the account it would have. */
export type Restorable = Readonly<{ app_id: string; label: string; snapshot: Snapshot }>;

/** Keeps what these people have and ends their individual assignments, in one statement. */
export async function takeDepartures(running: Running, user_ids: readonly string[]): Promise<void> {
  if (user_ids.length === 0) return;
  const now = running.now();
  await sql`
    with ended as (
      delete from assignment_grants
      where user_id = any(${[...user_ids]}::text[]) and kind in ('person', 'request') returning *),
    kept as (
      select user_id, app_id, jsonb_agg(jsonb_build_object('kind', kind, 'source_id', source_id, 'reason', reason,
        'profile', profile, 'expires_at', expires_at) order by id) as grants
      from ended group by user_id, app_id),
    had as (
      select user_id, app_id, coalesce(k.grants, '[]') as grants, a.want
      from kept k full join (
        select user_id, app_id, want from accounts
        where user_id = any(${[...user_ids]}::text[]) and assigned) a using (user_id, app_id))
    insert into accounts (user_id, app_id, snapshot, created_at, updated_at)
    select user_id, app_id, jsonb_build_object('at', ${now.toISOString()}::text, 'grants', grants, 'want', want),
           ${now}::timestamptz, ${now}::timestamptz
    from had order by user_id, app_id
    on conflict (app_id, user_id) do update set snapshot = excluded.snapshot, updated_at = excluded.updated_at`.execute(
    running.db,
  );
}

/** What the person's latest departure took away, app by app in order of label. */
export async function restorable(command: Command, user_id: string): Promise<readonly Restorable[]> {
  const { rows } = await sql<Restorable>`
    select a.app_id, p.label, a.snapshot from accounts a join apps p on p.id = a.app_id
    where a.user_id = ${user_id} and a.snapshot->>'at' = (
      select max(snapshot->>'at') from accounts where user_id = ${user_id})
    order by p.label`.execute(command.db);
  return rows;
}

/**
 * Gives a returned person the individual assignments back that their latest departure ended, with their own values; those
 * that have expired meanwhile stay away.
 *
 * @param app_ids only these apps; without it, all.
 * @returns the apps that were given back, or a refusal when the person is still deactivated or not there.
 */
export function restoreAssignments(
  command: Command,
  user_id: string,
  app_ids?: readonly string[],
): Promise<readonly string[] | Refusal> {
  return run<readonly string[]>(command, async (running) => {
    const user = await running.db
      .selectFrom("users")
      .select(["id", "login", "status"])
      .where("id", "=", user_id)
      .executeTakeFirst();
    if (user === undefined) return { refused: `there is no user ${user_id}`, code: "not_found", place: user_id };
    if (user.status === "DEPROVISIONED") {
      return {
        refused: `${user.login} is deactivated; activate them first, then restore`,
        code: "illegal_transition",
        place: user_id,
      };
    }
    const now = running.now();
    const chosen = (await restorable(running, user_id)).filter(
      ({ app_id, snapshot }) => snapshot.grants.length > 0 && (app_ids === undefined || app_ids.includes(app_id)),
    );
    const grants = chosen.flatMap(({ app_id, snapshot }) => snapshot.grants.map((grant) => ({ ...grant, app_id })));
    const { rows } = await sql<{ app_id: string }>`
      insert into assignment_grants (user_id, app_id, kind, source_id, reason, profile, expires_at, cause, created_at)
      select ${user_id}, app_id, kind, source_id, reason, profile, expires_at, ${running.cause ?? null}::bigint, ${now}::timestamptz
      from jsonb_to_recordset(${JSON.stringify(grants)}::jsonb)
        as g(app_id text, kind text, source_id text, reason text, profile jsonb, expires_at timestamptz)
      where expires_at is null or expires_at > ${now}::timestamptz
      order by app_id
      on conflict (user_id, app_id, kind, source_id) do nothing returning app_id`.execute(running.db);
    const back = chosen.filter(({ app_id }) => rows.some((row) => row.app_id === app_id));
    const seqs = await logAll(
      running,
      back.map(({ app_id, label, snapshot }) => ({
        type: "application.user_membership.restore",
        targets: [
          { id: user.id, type: "User" as const, name: user.login },
          { id: app_id, type: "AppInstance" as const, name: label },
        ],
        user_id,
        app_id,
        detail: { grants: snapshot.grants as unknown as Value },
      })),
    );
    const marks: Mark[] = seqs.map((cause) => ({ user_id, cause }));
    await markDirtyEach(running, marks);
    return back.map(({ app_id }) => app_id);
  });
}
