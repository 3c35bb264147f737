/**
 * Licences of apps: how many seats there are, how many are used, and until when. An app whose licence has ended is
 * nobody's until it is renewed: the engine computes that; here the people it concerns are marked.
 *
 * Law: the number of seats informs and never stops anyone from working; the end of a licence does.
 */
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import { type Command, log, priority, run } from "./command.ts";
import { markDirtyWhere } from "./marks.ts";
import { markAppDirty } from "./reach.ts";

/** `used`: enabled accounts. null seats: not counted. */
export type Licence = Readonly<{ app_id: string; seats: number | null; used: number; expires_at: Date | null }>;

/** Sets seats and end of an app's licence; null: unlimited, for ever. */
export function setLicence(
  command: Command,
  app_id: string,
  licence: Readonly<{ seats: number | null; expires_at: Date | null }>,
): Promise<Licence | Refusal> {
  return run<Licence>(command, async (running) => {
    const { seats, expires_at } = licence;
    if (seats !== null && !(Number.isInteger(seats) && seats >= 0 && seats <= 100_000_000)) {
      return { refused: "seats is a whole number, or null for no count", code: "invalid", place: "seats" };
    }
    const before = await running.db
      .selectFrom("apps")
      .select(["label", "licence_expires_at"])
      .where("id", "=", app_id)
      .forUpdate()
      .executeTakeFirst();
    if (before === undefined) return { refused: `there is no app ${app_id}`, code: "not_found" };
    const now = running.now();
    await running.db
      .updateTable("apps")
      .set({ seats, licence_expires_at: expires_at, updated_at: now })
      .where("id", "=", app_id)
      .execute();
    const seq = await log(running, {
      type: "application.lifecycle.update",
      app_id,
      targets: [{ id: app_id, type: "AppInstance", name: before.label }],
      detail: { changed: ["licence"], seats, expires_at: expires_at?.toISOString() ?? null },
    });
    const over = (end: Date | null) => end !== null && end <= now;
    if (over(before.licence_expires_at) !== over(expires_at)) {
      await markAppDirty(running, app_id, over(expires_at) ? priority.leaver : priority.wave, seq);
    }
    return { app_id, seats, expires_at, used: await seatCount(running.db, app_id) };
  });
}

/** How many enabled accounts an app has; in an app without connector, how many people have it. */
export async function seatCount(db: Database, app_id: string): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from accounts where app_id = ${app_id} and (have->>'enabled')::boolean`.execute(db);
  return rows[0]?.n ?? 0;
}

/**
 * Marks those who still have an app whose licence is over. Called by the schedule, as often as it likes: whom it has
 * marked already it leaves alone. Gives how many were marked.
 */
export async function expireLicences(command: Command, now: Date): Promise<number> {
  const result = await run(command, async (running) => {
    const { rows } = await sql<{ id: string; label: string }>`
      select id, label from apps
      where licence_expires_at <= ${now}::timestamptz and status = 'ACTIVE' and exists (
        select from accounts a where a.app_id = apps.id and a.assigned
          and not exists (select from dirty d where d.user_id = a.user_id))
      order by id`.execute(running.db);
    let marked = 0;
    for (const app of rows) {
      const seq = await log(running, {
        type: "application.licence.expire",
        app_id: app.id,
        targets: [{ id: app.id, type: "AppInstance", name: app.label }],
      });
      const assigned = sql`u.id in (select user_id from accounts where app_id = ${app.id} and assigned)`;
      marked += await markDirtyWhere(running, assigned, priority.leaver, seq);
    }
    return { marked };
  });
  // The work above refuses nothing.
  return "refused" in result ? 0 : result.marked;
}
