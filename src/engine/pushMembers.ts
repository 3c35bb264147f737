/**
 * The members of a pushed group: who should be in, who is in, and the packets that close the difference. All set-based;
 * a group of 50,000 costs a few statements and as many requests as the app's limit demands.
 */
import type { Context, GroupOperations, MemberResult } from "../connectors/connector.ts";
import { packs } from "../core/packs.ts";
import { sql } from "../store/database.ts";
import type { ClaimedPush } from "./groupPush.ts";
import { doubt } from "./reconcile.ts";
import type { World } from "./world.ts";

export type Member = Readonly<{ user_id: string; external_id: string }>;
export type Delta = Readonly<{ add: readonly Member[]; remove: readonly Member[] }>;

/**
 * Who is to be added and removed. In the app's group belongs whoever is in ours and has an assigned, enabled account
 * with an id there. A member whose add was refused for good (`invalid`, `unsupported`) is left until the next full check.
 */
export async function memberDelta(world: World, claimed: ClaimedPush): Promise<Delta> {
  const inGroup = claimed.everyone
    ? sql`true`
    : sql`exists (select 1 from membership_grants m where m.group_id = ${claimed.group_id} and m.user_id = a.user_id)`;
  const { rows } = await sql<Member & { side: "add" | "remove" }>`
    with wanted as (
      select a.user_id, a.external_id from accounts a
      where a.app_id = ${claimed.app_id} and a.assigned and a.external_id is not null
        and (a.want->>'enabled')::boolean and (a.have->>'enabled')::boolean and ${inGroup}
    ), held as (
      select user_id, external_id, fault from pushed_members where push_id = ${claimed.id}
    )
    select w.user_id, w.external_id, 'add' as side from wanted w
      left join held h using (external_id)
      where h.external_id is null or (h.fault is not null and (h.fault not in ('invalid', 'unsupported') or ${claimed.full_check}))
    union all
    select h.user_id, h.external_id, 'remove' from held h left join wanted w using (external_id) where w.external_id is null
    order by 3, 2`.execute(world.db);
  return { add: rows.filter((row) => row.side === "add"), remove: rows.filter((row) => row.side === "remove") };
}

/** Cuts a delta into packets that respect the app's limits; removals first, so that a leaver goes in the first one. */
export function* takeMembers(
  delta: Delta,
  limits: Pick<GroupOperations, "members_max" | "bytes_max" | "member_bytes">,
): Generator<Delta> {
  const { members_max: most, bytes_max: size_max } = limits;
  const size = ([, member]: Side) => limits.member_bytes(member.external_id);
  for (const packet of packs(both(delta), { most, size_max, size })) {
    const of = (side: "add" | "remove") => packet.flatMap(([which, member]) => (which === side ? [member] : []));
    yield { add: of("add"), remove: of("remove") };
  }
}

type Side = readonly ["add" | "remove", Member];

function* both(delta: Delta): Generator<Side> {
  for (const member of delta.remove) yield ["remove", member];
  for (const member of delta.add) yield ["add", member];
}

/** Before a packet: its additions are noted as in doubt, so that whatever happens they can be taken out again. */
export async function noteSending(world: World, claimed: ClaimedPush, packet: Delta): Promise<void> {
  if (packet.add.length === 0) return;
  await sql`
    insert into pushed_members (push_id, user_id, external_id, fault, detail, pushed_at)
    select ${claimed.id}, m.user_id, m.external_id, 'retry', 'being sent', ${world.now()}::timestamptz
    from unnest(${packet.add.map((m) => m.user_id)}::text[], ${packet.add.map((m) => m.external_id)}::text[]) as m(user_id, external_id)
    on conflict (push_id, external_id) do update set fault = 'retry', detail = 'being sent'`.execute(world.db);
}

/**
 * After a packet: what the app took, and the renewed lease. Fenced: gives undefined when the claim was lost meanwhile,
 * and then keeps nothing, so the rows stay in doubt.
 */
export async function noteSent(
  world: World,
  claimed: ClaimedPush,
  packet: Delta,
  results: readonly MemberResult[],
): Promise<Date | undefined> {
  const faults = new Map(results.filter((r) => r.fault !== undefined).map((r) => [r.id, r]));
  const until = new Date(world.now().getTime() + world.lease_ms);
  return world.db.transaction().execute(async (trx) => {
    const { numAffectedRows } = await sql`
      update pushed_groups set claimed_until = ${until}::timestamptz
      where id = ${claimed.id} and claimed_by = ${claimed.claim} and claimed_until > ${world.now()}::timestamptz`.execute(
      trx,
    );
    if (Number(numAffectedRows ?? 0) === 0) return undefined;
    const added = packet.add.map((m) => m.external_id);
    const taken = added.filter((id) => !faults.has(id));
    // By the list of ids, not by a join with it: while the table has no statistics yet, a join read all of it for each
    // packet (50,000 members: 15.5 s → 4.5 s).
    await sql`
      update pushed_members set fault = null, detail = null, pushed_at = ${world.now()}::timestamptz
      where push_id = ${claimed.id} and external_id = any(${taken}::text[])`.execute(trx);
    const refused = added.flatMap((id) => faults.get(id) ?? []);
    if (refused.length > 0) {
      await sql`
        update pushed_members p set fault = x.fault, detail = x.detail, pushed_at = ${world.now()}::timestamptz
        from unnest(${refused.map((r) => r.id)}::text[], ${refused.map((r) => r.fault ?? null)}::text[],
          ${refused.map((r) => r.detail ?? null)}::text[]) as x(external_id, fault, detail)
        where p.push_id = ${claimed.id} and p.external_id = x.external_id`.execute(trx);
    }
    const out = packet.remove.map((m) => m.external_id).filter((id) => !faults.has(id));
    await sql`delete from pushed_members where push_id = ${claimed.id} and external_id = any(${out}::text[])`.execute(
      trx,
    );
    return until;
  });
}

/** Members whom the app says it does not have: their accounts are looked at again at once, not at the next reconcile. */
export async function doubtAccounts(
  world: World,
  claimed: ClaimedPush,
  results: readonly MemberResult[],
): Promise<void> {
  const ids = results.flatMap((result) => (result.fault === "not_found" ? [result.id] : []));
  if (ids.length === 0) return;
  const { rows } = await sql<{ id: string }>`
    select id from accounts where app_id = ${claimed.app_id} and external_id = any(${ids}::text[])`.execute(world.db);
  await doubt(
    world,
    world.db,
    rows.map((row) => row.id),
  );
}

/** Reads the members the app really has, where it shows them, and makes our rows say so. */
export async function seedMembers(
  world: World,
  claimed: ClaimedPush,
  target_id: string,
  groups: GroupOperations,
  ctx: Context,
): Promise<void> {
  const members = await groups.members(ctx, target_id);
  if (members === null) return;
  await world.db.transaction().execute(async (trx) => {
    const { rows } =
      await sql`select 1 from pushed_groups where id = ${claimed.id} and claimed_by = ${claimed.claim} for update`.execute(
        trx,
      );
    if (rows.length === 0) return;
    await sql`delete from pushed_members where push_id = ${claimed.id} and external_id <> all (${[...members]}::text[])`.execute(
      trx,
    );
    await sql`
      insert into pushed_members (push_id, user_id, external_id, pushed_at)
      select ${claimed.id}, coalesce(a.user_id, ''), m.id, ${world.now()}::timestamptz
      from (select distinct unnest(${[...members]}::text[]) as id) m
      left join accounts a on a.app_id = ${claimed.app_id} and a.external_id = m.id
      on conflict (push_id, external_id) do update set fault = null, detail = null`.execute(trx);
  });
}

/** Before a group is created: the name it is created with, so that a lost reply can be looked for after a rename. */
export async function noteName(world: World, claimed: ClaimedPush, name: string): Promise<void> {
  await sql`update pushed_groups set pushed_name = ${name} where id = ${claimed.id} and claimed_by = ${claimed.claim}`.execute(
    world.db,
  );
}
