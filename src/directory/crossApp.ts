/**
 * Which app may ask another one in its users' name (Okta's cross-app access). Kept for clients that set it up; sign-on,
 * which would read it, is not here.
 */
import type { Selectable } from "kysely";
import type { Refusal } from "../core/types.ts";
import type { CrossAppRow } from "../store/apiTables.ts";
import { type Database, violatedUnique } from "../store/database.ts";
import { type Command, log, type Running, run } from "./command.ts";

export type CrossApp = Selectable<CrossAppRow>;

/** The connections that an app asks by, oldest first. */
export function listCrossApps(db: Database, requesting_app: string): Promise<readonly CrossApp[]> {
  return db
    .selectFrom("cross_app_connections")
    .selectAll()
    .where("requesting_app", "=", requesting_app)
    .orderBy("created_at")
    .orderBy("id")
    .limit(1_000)
    .execute();
}

/** Lets one app ask another. Refuses a pair that is connected already. */
export async function connectApps(
  command: Command,
  pair: Readonly<{ requesting_app: string; resource_app: string }>,
): Promise<CrossApp | Refusal> {
  try {
    return await run<CrossApp>(command, async (running) => {
      const now = running.now();
      const made = await running.db
        .insertInto("cross_app_connections")
        .values({ ...pair, created_at: now, updated_at: now })
        .returningAll()
        .executeTakeFirstOrThrow();
      await note(running, made, "create");
      return made;
    });
  } catch (error) {
    if (violatedUnique(error) === undefined) throw error;
    return { refused: "the two apps are connected already", code: "duplicate", place: "resourceAppInstanceId" };
  }
}

/** Switches a connection. Undefined: there is none of this id. */
export function switchCrossApp(
  command: Command,
  requesting_app: string,
  id: string,
  status: CrossApp["status"],
): Promise<CrossApp | undefined | Refusal> {
  return run<CrossApp | undefined>(command, async (running) => {
    const after = await running.db
      .updateTable("cross_app_connections")
      .set({ status, updated_at: running.now() })
      .where("id", "=", id)
      .where("requesting_app", "=", requesting_app)
      .returningAll()
      .executeTakeFirst();
    if (after) await note(running, after, "update");
    return after;
  });
}

/** Ends a connection. Undefined: there is none of this id. */
export function disconnectApps(
  command: Command,
  requesting_app: string,
  id: string,
): Promise<CrossApp | undefined | Refusal> {
  return run<CrossApp | undefined>(command, async (running) => {
    const gone = await running.db
      .deleteFrom("cross_app_connections")
      .where("id", "=", id)
      .where("requesting_app", "=", requesting_app)
      .returningAll()
      .executeTakeFirst();
    if (gone) await note(running, gone, "delete");
    return gone;
  });
}

async function note(running: Running, { id, requesting_app, resource_app }: CrossApp, verb: string): Promise<void> {
  await log(running, {
    type: `app.cross_app_access.connection.${verb}`,
    app_id: requesting_app,
    targets: [{ id, type: "Connection", name: id }],
    detail: { requesting_app, resource_app },
  });
}
