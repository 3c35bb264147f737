/** Who wants to be told of what: kept for whoever sends messages one day; nothing is sent yet. */
import { type NotificationType, notification_types, toldByStandard } from "../core/subscriptions.ts";
import { type Database, sql } from "../store/database.ts";
import type { Command } from "./command.ts";

/** What a person (by id) or a role is subscribed to. */
export async function subscriptionsOf(
  db: Database,
  subscriber: string,
): Promise<ReadonlyMap<NotificationType, boolean>> {
  const { rows } = await sql<{ type: string; subscribed: boolean }>`
    select type, subscribed from subscriptions where subscriber = ${subscriber}`.execute(db);
  const said = new Map(rows.map(({ type, subscribed }) => [type, subscribed]));
  return new Map(notification_types.map((type) => [type, said.get(type) ?? toldByStandard(type)]));
}

/** Says what a person or a role wants. */
export async function subscribe(
  command: Command,
  subscriber: string,
  type: NotificationType,
  subscribed: boolean,
): Promise<void> {
  await sql`
    insert into subscriptions (subscriber, type, subscribed) values (${subscriber}, ${type}, ${subscribed})
    on conflict (subscriber, type) do update set subscribed = excluded.subscribed`.execute(command.db);
}
