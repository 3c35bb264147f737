/**
 * Accounts that people have in an app already, brought over from the directory that kept them before: the assignment with
 * its own values, and the account's id in the app, so that the account is found again and not made a second time.
 *
 * Law: a brought account whose person does not have the app (yet) is one that nobody manages: it is neither changed nor
 * removed there until somebody gives the app. An account that is known under another id is not overwritten.
 *
 * Called by the admin API.
 */
import type { Profile, Refusal } from "../core/types.ts";
import { isRefusal, sql, violatedUnique } from "../store/database.ts";
import { assignUsers } from "./assignments.ts";
import { readTarget } from "./assignmentValues.ts";
import { type Command, log, type Running, run } from "./command.ts";
import { lockPeople } from "./locks.ts";
import { markAccountsDue } from "./reach.ts";

/** `own`: the person has the app by themselves, with these values; else groups give it. */
export type CarriedAccount = Readonly<{
  user_id: string;
  own: boolean;
  profile?: Profile;
  external_id?: string | null;
}>;

/** How many assignments were given or changed, and how many accounts were linked. */
export type Carried = Readonly<{ assigned: number; linked: number }>;

/** Brings accounts over, all or none; refuses the set when somebody is unknown or deactivated, a value is wrong or an id taken. */
export async function carryAccounts(
  command: Command,
  app_id: string,
  accounts: readonly CarriedAccount[],
): Promise<Carried | Refusal> {
  try {
    return await run<Carried>(command, async (running) => {
      const own = accounts.filter((account) => account.own);
      const grants = own.map(({ user_id, profile }) => ({ user_id, ...(profile ? { profile } : {}) }));
      const assigned = await assignUsers(running, app_id, grants);
      if (isRefusal(assigned)) return assigned;
      const linked = await linkAccounts(running, app_id, accounts);
      if (isRefusal(linked)) return linked;
      return { assigned: assigned.began.length + assigned.changed.length, linked };
    });
  } catch (error) {
    if (violatedUnique(error) !== "accounts_external") throw error;
    return {
      refused: "an account of these is somebody else's already: each id in the app belongs to one person",
      code: "duplicate",
      place: "external_id",
    };
  }
}

async function linkAccounts(
  running: Running,
  app_id: string,
  accounts: readonly CarriedAccount[],
): Promise<number | Refusal> {
  const lines = accounts.flatMap(({ user_id, external_id }) => (external_id ? [{ user_id, external_id }] : []));
  if (lines.length === 0) return 0;
  const app = await readTarget(running.db, app_id);
  if (isRefusal(app)) return app;
  const people = lines.map((line) => line.user_id);
  const there = await lockPeople(running.db, people);
  const unknown = people.find((id) => !there.has(id));
  if (unknown !== undefined) {
    return { refused: `there is no user ${unknown.slice(0, 100)}`, code: "not_found", place: "user_id" };
  }
  const given = sql`
    (select distinct on (user_id) * from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb)
      as g(user_id text, external_id text) order by user_id)`;
  const { rows: others } = await sql<{ login: string; external_id: string }>`
    select u.login, a.external_id from ${given} g join accounts a on a.app_id = ${app_id} and a.user_id = g.user_id
      join users u on u.id = g.user_id
    where a.external_id <> g.external_id and a.have is not null limit 1`.execute(running.db);
  const [other] = others;
  if (other !== undefined) {
    return {
      refused: `${other.login} has the account ${other.external_id} in ${app.label}: it stays, because it is in use`,
      code: "duplicate",
      place: "external_id",
    };
  }
  const now = running.now();
  const { rows } = await sql<{ id: string }>`
    insert into accounts as a (app_id, user_id, external_id, released_at, created_at, updated_at)
    select ${app_id}, user_id, external_id, ${now}::timestamptz, ${now}::timestamptz, ${now}::timestamptz from ${given} g
    on conflict (app_id, user_id) do update set external_id = excluded.external_id, updated_at = excluded.updated_at
      where a.external_id is distinct from excluded.external_id
    returning id`.execute(running.db);
  if (rows.length === 0) return 0;
  const ids = rows.map((row) => row.id);
  const cause = await log(running, {
    type: "application.provision.user.import",
    app_id,
    targets: [{ id: app_id, type: "AppInstance", name: app.label }],
    reason: "brought over with their ids in the app",
    detail: { accounts: rows.length },
  });
  await markAccountsDue({ ...running, cause }, app_id, sql`a.id = any(${ids}::text[]) and a.assigned`);
  return rows.length;
}
