/**
 * The recovery question of a person: asked before a forgotten password is replaced. Only the answer's hash is kept; the
 * answer counts without its case and the space around it.
 */
import type { Refusal } from "../core/types.ts";
import { json, sql } from "../store/database.ts";
import { type Command, log, run } from "./command.ts";
import { hashPassword, verifyPassword } from "./password.ts";
import type { StoredUser } from "./userQueries.ts";
import { userTarget } from "./userState.ts";
import { lockUsers } from "./users.ts";

const plain = (answer: string) => answer.trim().toLowerCase();

/** Sets the question and the answer to it. */
export async function changeRecovery(
  command: Command,
  user_id: string,
  recovery: Readonly<{ question: string; answer: string }>,
): Promise<StoredUser | Refusal> {
  const recovery_answer_hash = await hashPassword(plain(recovery.answer));
  return run<StoredUser>(command, async (running) => {
    const user = (await lockUsers(running.db, [user_id])).get(user_id);
    if (user === undefined) return { refused: `there is no user ${user_id}`, code: "not_found", place: user_id };
    const credentials = { ...user.credentials, recovery_question: recovery.question, recovery_answer_hash };
    const { rows } = await sql<StoredUser>`
      update users set credentials = ${json(credentials)}, updated_at = ${running.now()}::timestamptz
      where id = ${user_id} returning *`.execute(running.db);
    await log(running, { type: "user.account.update_recovery_question", targets: [userTarget(user)], user_id });
    return rows[0] ?? user;
  });
}

/** Is this the answer that was given? False also when there is no question. */
export function answersRecovery(user: StoredUser, answer: string): Promise<boolean> {
  const { recovery_answer_hash } = user.credentials;
  return recovery_answer_hash === undefined
    ? Promise.resolve(false)
    : verifyPassword(plain(answer), recovery_answer_hash);
}
