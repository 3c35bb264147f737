/**
 * Sessions of people who signed in, and the tokens handed out between two steps of a sign-in.
 *
 * Laws: only hashes are kept, so the table opens nothing; a token serves once and for minutes; a session ends when its
 * time is over, when the person is suspended, locked out or deactivated, and when their password changes.
 */
import { randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import type { SignInTokenKind } from "../store/apiTables.ts";
import { type Database, sql } from "../store/database.ts";
import type { Tables } from "../store/tables.ts";
import type { Command } from "./command.ts";
import { hashToken } from "./password.ts";

export type Session = Selectable<Tables["sessions"]>;

const session_ms = 2 * 3_600_000;
/** How long a token of a sign-in serves. */
export const token_ms = 5 * 60_000;

const prefixes: Readonly<Record<SignInTokenKind, string>> = {
  session: "20111",
  change: "00c",
  answer: "00a",
  reset: "00r",
};

/** A new token for a person; the text is told only here. */
export async function issueToken(
  { db, now }: Pick<Command, "db" | "now">,
  kind: SignInTokenKind,
  user_id: string,
): Promise<Readonly<{ token: string; expires_at: Date }>> {
  const token = prefixes[kind] + randomBytes(32).toString("base64url");
  const expires_at = new Date(now().getTime() + token_ms);
  await sql`delete from sign_in_tokens where expires_at <= ${now()}::timestamptz`.execute(db);
  await db
    .insertInto("sign_in_tokens")
    .values({ hash: hashToken(token), kind, user_id, created_at: now(), expires_at })
    .execute();
  return { token, expires_at };
}

/** Whose token this is, if it still serves; taken, so that it serves nobody again. */
export async function takeToken(
  { db, now }: Pick<Command, "db" | "now">,
  token: string,
  kinds: readonly SignInTokenKind[],
): Promise<Readonly<{ user_id: string; kind: SignInTokenKind }> | undefined> {
  const { rows } = await sql<{ user_id: string; kind: SignInTokenKind }>`
    delete from sign_in_tokens where hash = ${hashToken(token)} and kind = any(${[...kinds]}::text[])
      and expires_at > ${now()}::timestamptz returning user_id, kind`.execute(db);
  return rows[0];
}

/** A new session for a person whose password was just right. The id is told only here. */
export async function beginSession(
  { db, now }: Pick<Command, "db" | "now">,
  user_id: string,
): Promise<Readonly<{ id: string; session: Session }>> {
  const id = `102${randomBytes(24).toString("base64url")}`;
  const at = now();
  await sql`delete from sessions where expires_at <= ${at}::timestamptz`.execute(db);
  const session = await db
    .insertInto("sessions")
    .values({
      hash: hashToken(id),
      user_id,
      created_at: at,
      expires_at: new Date(at.getTime() + session_ms),
      password_at: at,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return { id, session };
}

/** The living session with this id. */
export async function getSession(db: Database, id: string, now: Date): Promise<Session | undefined> {
  const { rows } = await sql<Session>`
    select * from sessions where hash = ${hashToken(id)} and expires_at > ${now}::timestamptz`.execute(db);
  return rows[0];
}

/** Lets a living session live on from now. */
export async function refreshSession({ db, now }: Command, id: string): Promise<Session | undefined> {
  const { rows } = await sql<Session>`
    update sessions set expires_at = ${new Date(now().getTime() + session_ms)}::timestamptz
    where hash = ${hashToken(id)} and expires_at > ${now()}::timestamptz returning *`.execute(db);
  return rows[0];
}

/** Ends a living session; gives whose it was. */
export async function endSession({ db, now }: Command, id: string): Promise<string | undefined> {
  const { rows } = await sql<{ user_id: string }>`
    delete from sessions where hash = ${hashToken(id)} and expires_at > ${now()}::timestamptz returning user_id`.execute(
    db,
  );
  return rows[0]?.user_id;
}

/** Ends every session of people, and every sign-in of theirs that is under way. Gives how many sessions there were. */
export async function endSessions({ db }: Pick<Command, "db">, user_ids: readonly string[]): Promise<number> {
  const ids = [...user_ids];
  await sql`delete from sign_in_tokens where user_id = any(${ids}::text[])`.execute(db);
  const { numAffectedRows } = await sql`delete from sessions where user_id = any(${ids}::text[])`.execute(db);
  return Number(numAffectedRows ?? 0);
}
