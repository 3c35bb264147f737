/**
 * The floor of `provision`: a search and a POST for each person, and beside them the rows that an account leaves behind
 * (account, work, history, operation, two events), in as few plain statements as hold them, on the same tables. Nothing is
 * decided, evaluated, leased, fenced or checked, and no fault is looked for. It says about how fast a
 * search before each create and such rows let anyone be on this machine.
 */
import { column } from "../../src/store/columns.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { bareCaller } from "./calls.ts";
import type { Ground } from "./ground.ts";
import type { Target } from "./target.ts";

/** As many at a time as the engine takes, in as many lanes as were fastest. */
const batch = 250;
const lanes = 4;

/** A body to be posted, and whose it is. */
export type FloorBody = Readonly<{ login: string; text: string }>;
type Begun = Readonly<{ id: string; login: string }>;

/** Gives everyone of a ground an account of the app, `concurrency` calls at a time. Gives the seconds it took. */
export async function floor(
  { db }: Pick<Ground, "db">,
  target: Target,
  app_id: string,
  bodies: readonly FloorBody[],
  concurrency: number,
): Promise<number> {
  const caller = bareCaller(target, concurrency);
  const texts = new Map(bodies.map(({ login, text }) => [login, text]));
  let at = 0;
  const lane = async () => {
    for (;;) {
      const some = bodies.slice(at, at + batch);
      if (some.length === 0) return;
      at += batch;
      const begun = await begin(db, app_id, some);
      const externals: string[] = [];
      let next = 0;
      const call = async () => {
        for (let n = next++; n < begun.length; n = next++) {
          const { login = "" } = begun[n] ?? {};
          const filter = `userName eq ${JSON.stringify(login)}`;
          await caller.ask({ method: "GET", path: `/Users?filter=${encodeURIComponent(filter)}` });
          const made = await caller.ask({ method: "POST", path: "/Users", body: texts.get(login) ?? "" });
          externals[n] = (JSON.parse(made) as { id: string }).id;
        }
      };
      await Promise.all(Array.from({ length: concurrency / lanes }, call));
      await end(db, app_id, begun, externals);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: lanes }, lane));
  const seconds = (performance.now() - began) / 1000;
  await caller.close();
  return seconds;
}

/** What stands before the calls: the account as it is to be, claimed work, an event, and no mark any more. */
async function begin(db: Database, app_id: string, some: readonly FloorBody[]): Promise<readonly Begun[]> {
  const wants = `[${some.map(({ text }) => `{"enabled": true, "profile": ${text}}`).join(",")}]`;
  const { rows } = await sql<Begun>`
    with given as (
      select u.id as user_id, u.login, r.want
      from rows from (unnest(${column(some, ({ login }) => login)}::text[]), jsonb_array_elements(${wants}::jsonb)) as r(login, want)
      join users u on u.login = lower(r.login)
    ), made as (
      insert into accounts (app_id, user_id, assigned, want, want_revision, match_key, assigned_at)
      select ${app_id}, user_id, true, want, 1, login, now() from given returning id, user_id, match_key as login
    ), queued as (
      insert into work (account_id, app_id, user_id, revision, due_at, priority, unsure, claimed_by, claimed_until, marked_at)
      select id, ${app_id}, user_id, 1, now(), 4, true, 'floor', now() + interval '1 minute', now() from made
    ), told as (
      insert into events (published_at, type, actor, targets, user_id, app_id)
      select now(), 'application.user_membership.add', '{"id": "floor"}', '[]', user_id, ${app_id} from made
    ), unmarked as (delete from dirty d using given g where d.user_id = g.user_id)
    select id, login from made`.execute(db);
  return rows;
}

/** What stands behind them: the account as it is, its history, an operation, an event, and no work any more. */
async function end(db: Database, app_id: string, begun: readonly Begun[], externals: readonly string[]): Promise<void> {
  await sql`
    with given as (
      select * from rows from (unnest(${column(begun, ({ id }) => id)}::text[]),
        unnest(${column(externals, (id) => id)}::text[])) as r(id, external_id)
    ), saved as (
      update accounts a set external_id = g.external_id, have = a.want, have_revision = 1, synced_at = now(), updated_at = now()
      from given g where a.id = g.id returning a.id, a.user_id
    ), done as (delete from work w using given g where w.account_id = g.id), noted as (
      insert into operations (app_id, account_id, user_id, revision, step, outcome, node, started_at, finished_at)
      select ${app_id}, id, user_id, 1, 'create', 'done', 'floor', now(), now() from saved
    )
    insert into events (published_at, type, actor, targets, user_id, app_id)
    select now(), 'application.provision.user.push', '{"id": "floor"}', '[]', user_id, ${app_id} from saved`.execute(
    db,
  );
}
