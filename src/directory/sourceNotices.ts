/**
 * What sources tell us of: the ids of people to be read again, kept until that is done (engine/notices.ts), and the secret
 * with which a source tells it.
 *
 * Laws: a person who is told of many times waits once. At most so many wait for one source. The secret is given out when it
 * is made and never again.
 */
import { randomBytes } from "node:crypto";
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import { dropSecret, type Key, putSecret, type SecretPlace } from "../store/secrets.ts";
import { type Command, log, run } from "./command.ts";

/** People who wait for one source at most. */
export const notices_max = 10_000;
/** So long after it was told of first somebody is read: by then a storm of notifications of one person is one. */
export const notice_settle_ms = 2_000;

/** Where the secret of a source's notifications is kept. */
export const notifySecretPlace = (app_id: string): SecretPlace => ({
  table: "apps",
  row: app_id,
  column: "notify_secret",
});

type App = Readonly<{ id: string; label: string }>;

/** Makes the secret of a source's notifications, in place of the one that it has. Gives its text, this once. */
export async function makeNotifySecret(command: Command, key: Key, app: App): Promise<string | Refusal> {
  const text = `whsec_${randomBytes(32).toString("base64")}`;
  return run<string>(command, async (running) => {
    const { rows } = await sql<{ source: boolean }>`
      select sourcing is not null as source from apps where id = ${app.id} for no key update`.execute(running.db);
    if (rows[0]?.source !== true) {
      const refused = `${app.label} is not a source: turn sourcing on for it first`;
      return { refused, code: "invalid", place: "sourcing" };
    }
    await putSecret(running.db, key, notifySecretPlace(app.id), text);
    await tell(running, app, "made");
    return text;
  });
}

/** Forgets the secret of a source's notifications: none is taken any more. Who waits is read all the same. */
export async function dropNotifySecret(command: Command, app: App): Promise<void> {
  await run<true>(command, async (running) => {
    await dropSecret(running.db, notifySecretPlace(app.id));
    await tell(running, app, "revoked");
    return true;
  });
}

const tell = (command: Command, { id, label }: App, what: "made" | "revoked") =>
  log(command, {
    type: "application.lifecycle.update",
    app_id: id,
    targets: [{ id, type: "AppInstance", name: label }],
    detail: { notify_secret: what },
  });

/** Keeps ids of people whom a source told of. Refused as stale where too many wait. */
export function keepNotices(command: Command, app_id: string, ids: readonly string[]): Promise<true | Refusal> {
  const now = command.now();
  const due_at = new Date(now.getTime() + notice_settle_ms);
  return run<true>(command, async (running) => {
    // Whoever tells of people of one source stands in line here, so that none is counted beside another.
    await sql`insert into source_notice_turns (app_id) values (${app_id}) on conflict do nothing`.execute(running.db);
    await sql`select from source_notice_turns where app_id = ${app_id} for no key update`.execute(running.db);
    const { rows } = await sql<{ fresh: boolean }>`
      insert into source_notices (app_id, external_id, noted_at, due_at)
      select ${app_id}, id, ${now}::timestamptz, ${due_at}::timestamptz from unnest(${[...ids]}::text[]) as id order by id
      on conflict (app_id, external_id) do update set told = source_notices.told + 1
      returning xmax = 0 as fresh`.execute(running.db);
    if (!rows.some(({ fresh }) => fresh)) return true;
    const { rows: counted } = await sql<{ n: number }>`
      select count(*)::int as n from source_notices where app_id = ${app_id}`.execute(running.db);
    if ((counted[0]?.n ?? 0) <= notices_max) return true;
    const refused = `${notices_max} people of this source wait to be read already: send it again later`;
    return { refused, code: "stale" };
  });
}

/** How a source's notifications stand. `failing`: who could not be read so far. `problem`: the last one. */
export type NoticeState = Readonly<{
  secret: boolean;
  waiting: number;
  failing: number;
  oldest_at: Date | null;
  next_at: Date | null;
  problem: string | null;
}>;

/** How a source's notifications stand. */
export async function noticeState(db: Database, app_id: string): Promise<NoticeState> {
  const { table, row, column } = notifySecretPlace(app_id);
  const { rows } = await sql<NoticeState>`
    select exists (select from secrets
        where table_name = ${table} and row_id = ${row} and column_name = ${column}) as secret,
      count(n.external_id)::int as waiting, count(n.external_id) filter (where n.attempts > 0)::int as failing,
      min(n.noted_at) as oldest_at, greatest(min(n.due_at), max(t.due_at)) as next_at,
      coalesce(max(t.problem), max(n.problem)) as problem
    from (select ${app_id}::text as id) a left join source_notice_turns t on t.app_id = a.id
      left join source_notices n on n.app_id = a.id`.execute(db);
  return rows[0] ?? { secret: false, waiting: 0, failing: 0, oldest_at: null, next_at: null, problem: null };
}
