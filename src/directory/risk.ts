/** How risky an administrator holds a person to be: kept and given back; nothing here decides by it. */
import type { Selectable } from "kysely";
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { Tables } from "../store/tables.ts";
import { type Command, log, run } from "./command.ts";
import { lockUsers } from "./locks.ts";
import { userTarget } from "./userState.ts";

export type Risk = Selectable<Tables["user_risks"]>;

/** What was last said of a person; undefined: nothing. */
export function getRisk(db: Database, user_id: string): Promise<Risk | undefined> {
  return db.selectFrom("user_risks").selectAll().where("user_id", "=", user_id).executeTakeFirst();
}

/** Says it. `first`: nothing was said before. */
export function setRisk(
  command: Command,
  user_id: string,
  level: Risk["level"],
): Promise<Readonly<{ first: boolean }> | Refusal> {
  return run<Readonly<{ first: boolean }>>(command, async (running) => {
    const user = (await lockUsers(running.db, [user_id])).get(user_id);
    if (user === undefined) return { refused: `there is no user ${user_id}`, code: "not_found", place: user_id };
    const before = await getRisk(running.db, user_id);
    await sql`
      insert into user_risks (user_id, level, updated_at) values (${user_id}, ${level}, ${running.now()}::timestamptz)
      on conflict (user_id) do update set level = excluded.level, updated_at = excluded.updated_at`.execute(running.db);
    await log(running, {
      type: "user.risk.change",
      targets: [userTarget(user)],
      user_id,
      detail: { before: before?.level ?? "NONE", after: level },
    });
    return { first: before === undefined };
  });
}
