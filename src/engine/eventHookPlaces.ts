/**
 * Where each event hook stands in the log: which have something to be told, what it is, and what became of it.
 *
 * Laws: what was visible in `seen` has been told; `reading` is being told, in the order of the events' numbers, through
 * `seq`. A person's events have numbers in the order of their changes, because each change holds the person's row, so
 * that order is theirs. Nothing moves a place but the holder of its claim (`claimed_by`, `claimed_until`) or somebody who
 * takes the claim away. An attempt and what it means for the place are one statement.
 */
import type { EventHook } from "../directory/eventHooks.ts";
import { type Database, sql } from "../store/database.ts";
import { event_as_json, type LogEvent, uuid_of_event } from "../store/log.ts";
import type { World } from "./world.ts";

/** A hook that this node may tell, and where it stands. */
export type ClaimedHook = Readonly<{
  hook: EventHook;
  seen: string;
  reading: string;
  seq: number;
  last_seq: number;
  attempts: number;
  told_at: Date | null;
  claimed_until: Date;
}>;

/** Events looked through in one statement, and events in one delivery. */
const slice = 2_000;
const batch = 100;

/**
 * Claims the hooks that have something to be told. A place with nothing for its hook moves on in the same statement, so a
 * turn is one statement however many hooks there are, and reads only what came into the log since the last one.
 */
export async function claimEventHooks(world: World): Promise<readonly ClaimedHook[]> {
  const now = world.now();
  const until = new Date(now.getTime() + world.lease_ms);
  const { rows } = await sql<Omit<ClaimedHook, "hook"> & { hook_id: string }>`
    with ready as materialized (
      select p.hook_id, p.seen, p.reading, h.event_types
      from event_hook_places p join event_hooks h on h.id = p.hook_id
      where h.status = 'ACTIVE' and h.verified_at is not null and p.due_at <= ${now}::timestamptz
        and (p.claimed_until is null or p.claimed_until <= ${now}::timestamptz)
      for update of p skip locked
    ), news as (
      -- Once for all hooks that have seen the same: what was under way then, and what began since.
      select s.seen, n.first, n.last, n.types
      from (select distinct seen::text as seen from ready where reading is null) s cross join lateral (
        select min(t.first) as first, max(t.last) as last, array_agg(t.type) as types from (
          select e.type, min(e.seq) as first, max(e.seq) as last from (
            select seq, type from events
            where transaction_id = any (array(select pg_snapshot_xip(s.seen::pg_snapshot)))
            union all
            select seq, type from events where transaction_id >= pg_snapshot_xmax(s.seen::pg_snapshot)
          ) e group by e.type
        ) t
      ) n where n.first is not null
    ), told as (
      select r.hook_id, r.reading is not null or n.types && r.event_types as work, r.reading is not null as open, n.first, n.last
      from ready r left join news n on r.reading is null and n.seen = r.seen::text
      where r.reading is not null or n.first is not null
    ), moved as (
      update event_hook_places p set
        seen = case when t.work then p.seen else pg_current_snapshot() end,
        reading = case when not t.work then null when t.open then p.reading else pg_current_snapshot() end,
        seq = case when t.open then p.seq else t.first - 1 end,
        last_seq = case when t.open then p.last_seq else t.last end,
        claimed_by = case when t.work then ${world.node} end,
        claimed_until = case when t.work then ${until}::timestamptz end
      from told t where p.hook_id = t.hook_id
      returning p.*
    )
    select hook_id, seen::text as seen, reading::text as reading, seq, last_seq, attempts, told_at, claimed_until
    from moved where claimed_until is not null`.execute(world.db);
  if (rows.length === 0) return [];
  const hooks = await world.db
    .selectFrom("event_hooks")
    .selectAll()
    .where(
      "id",
      "in",
      rows.map(({ hook_id }) => hook_id),
    )
    .execute();
  const byId = new Map(hooks.map((hook) => [hook.id, hook]));
  return rows.flatMap(({ hook_id, ...place }) => {
    const hook = byId.get(hook_id);
    return hook === undefined ? [] : [{ ...place, hook, seq: Number(place.seq), last_seq: Number(place.last_seq) }];
  });
}

/** Events to tell next, of the types the hook names, and the number through which the log has been looked at then. */
export type Batch = Readonly<{ events: readonly LogEvent[]; through: number }>;

/** Reads on from the claim's place. */
export async function readBatch(db: Database, claimed: ClaimedHook): Promise<Batch> {
  const { hook, seq, last_seq, reading, seen } = claimed;
  const { rows } = await sql<{ scanned: number; scanned_to: number | null; event: LogEvent | null }>`
    with slice as materialized (
      select seq, type, transaction_id from events where seq > ${seq} and seq <= ${last_seq} order by seq limit ${slice}
    ), wanted as (
      select seq from slice
      where type = any (${hook.event_types}::text[]) and pg_visible_in_snapshot(transaction_id, ${reading}::pg_snapshot)
        and not pg_visible_in_snapshot(transaction_id, ${seen}::pg_snapshot)
      order by seq limit ${batch}
    )
    select (select count(*)::int from slice) as scanned, (select max(seq) from slice) as scanned_to, ${event_as_json} as event
    from (select 1) one left join (wanted join events e using (seq)) on true order by e.seq`.execute(db);
  const events = rows.flatMap(({ event }) =>
    event === null ? [] : [{ ...event, published_at: new Date(event.published_at) }],
  );
  const [first] = rows;
  const scanned_to = (first?.scanned ?? 0) < slice ? last_seq : Number(first?.scanned_to ?? last_seq);
  return { events, through: events.length === batch ? (events.at(-1)?.seq ?? scanned_to) : scanned_to };
}

/** Events by their numbers, for those that are told once more. Those that the log has no more are left out. */
export async function readEvents(db: Database, seqs: readonly number[]): Promise<readonly LogEvent[]> {
  const { rows } = await sql<LogEvent>`
    select e.*, ${sql.raw(uuid_of_event)} as uuid from events e where seq = any(${[...seqs]}::bigint[]) order by seq`.execute(
    db,
  );
  return rows;
}

/** One attempt, as it is kept. */
export type Attempt = Readonly<{
  event_id: string;
  seqs: readonly number[];
  attempt: number;
  outcome: "DELIVERED" | "FAILED";
  status: number | null;
  duration_ms: number;
  error: string | null;
  again?: boolean;
  started_at: Date;
}>;

/** Keeps an attempt that moves no place. Gives its id. */
export async function noteAttempt(world: World, hook_id: string, attempt: Attempt): Promise<string> {
  const { id } = await world.db
    .insertInto("event_hook_deliveries")
    .values({ ...attempt, seqs: [...attempt.seqs], hook_id, node: world.node })
    .returning("id")
    .executeTakeFirstOrThrow();
  return id;
}

/**
 * Moves a place on, with the delivery that did it, if one was needed. Gives the claim as it goes on; "done" when all that
 * was visible has been told and the claim is given back; "lost" when it was not this node's any more.
 */
export async function moveOn(
  world: World,
  claimed: ClaimedHook,
  through: number,
  delivered?: Attempt,
): Promise<ClaimedHook | "done" | "lost"> {
  const done = through >= claimed.last_seq;
  const now = world.now();
  const until = new Date(now.getTime() + world.lease_ms);
  const free = delivered !== undefined || claimed.attempts === 0;
  const { rows } = await sql<{ hook_id: string }>`
    with moved as (
      update event_hook_places set seq = ${through},
        seen = case when ${done} then reading else seen end, reading = case when ${done} then null else reading end,
        claimed_by = case when ${done} then null else claimed_by end,
        claimed_until = case when ${done} then null else ${until}::timestamptz end,
        attempts = case when ${free} then 0 else attempts end,
        failing_since = case when ${free} then null else failing_since end,
        told_at = case when ${free} then null else told_at end, error = case when ${free} then null else error end,
        delivered_at = case when ${delivered !== undefined} then ${now}::timestamptz else delivered_at end
      where ${mine(world, claimed)} returning hook_id
    ), kept as (
      insert into event_hook_deliveries (hook_id, event_id, seqs, attempt, outcome, status, duration_ms, error, node, started_at)
      select m.hook_id, d.event_id, array(select jsonb_array_elements_text(d.seqs)::bigint), d.attempt, d.outcome, d.status,
             d.duration_ms, d.error, ${world.node}, d.started_at
      from moved m, jsonb_to_record(${delivered === undefined ? null : JSON.stringify(delivered)}::jsonb)
        as d(event_id uuid, seqs jsonb, attempt int, outcome text, status int, duration_ms int, error text, started_at timestamptz)
      where d.event_id is not null
    )
    select hook_id from moved`.execute(world.db);
  if (rows.length === 0) return "lost";
  if (done) return "done";
  return { ...claimed, seq: through, claimed_until: until, ...(free ? { attempts: 0, told_at: null } : {}) };
}

/** Gives a claim back as it is: this node stops. */
export async function giveBack(world: World, claimed: ClaimedHook): Promise<void> {
  await sql`
    update event_hook_places set claimed_by = null, claimed_until = null where ${mine(world, claimed)}`.execute(
    world.db,
  );
}

/** Leaves a place where it is until `due_at`, and says why. Gives since when it fails; undefined: the claim was lost. */
export async function leaveFor(
  world: World,
  db: Database,
  claimed: ClaimedHook,
  due_at: Date,
  error: string,
): Promise<Date | undefined> {
  const { rows } = await sql<{ failing_since: Date }>`
    update event_hook_places set attempts = attempts + 1, due_at = ${due_at}::timestamptz, error = ${error},
      failing_since = coalesce(failing_since, ${world.now()}::timestamptz), claimed_by = null, claimed_until = null
    where ${mine(world, claimed)} returning failing_since`.execute(db);
  return rows[0]?.failing_since;
}

const mine = (world: World, { hook, claimed_until }: ClaimedHook) =>
  sql`hook_id = ${hook.id} and claimed_by = ${world.node} and claimed_until = ${claimed_until}::timestamptz`;

/** Deliveries are kept for a month, of each hook the newest ten thousand. Looked at once an hour. */
export async function pruneDeliveries(world: World, hook_id: string): Promise<void> {
  const now = world.now().getTime();
  const { numUpdatedRows } = await world.db
    .updateTable("event_hook_places")
    .set({ pruned_at: new Date(now) })
    .where("hook_id", "=", hook_id)
    .where("pruned_at", "<", new Date(now - 3_600_000))
    .executeTakeFirst();
  if (numUpdatedRows === 0n) return;
  await sql`
    delete from event_hook_deliveries where hook_id = ${hook_id} and (started_at < ${new Date(now - 30 * 86_400_000)}::timestamptz
      or id <= (select id from event_hook_deliveries where hook_id = ${hook_id} order by id desc offset 10000 limit 1))`.execute(
    world.db,
  );
}
