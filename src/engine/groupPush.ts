/**
 * Group push: one of our groups written to an app, members included, in one claim at a time.
 *
 * - A member is wanted in the app's group while the user is in our group and has an enabled account there; so an account
 *   always precedes its memberships, one group may both grant the app and be pushed, and a leaver is taken out.
 * - Members go as deltas packed to the app's limit in count and bytes. Before a packet is sent its members are noted as
 *   in doubt: a crash after an add that the app took leaves a row to remove by, even where members cannot be read.
 * - The four rules of provision.ts hold here too: a claim makes the push unsure, an unsure push is read where the app
 *   shows members, no packet starts after the lease, a group is searched for by name before it is created.
 */
import { ConnectorFault, type Context, type GroupOperations, type RemoteGroup } from "../connectors/connector.ts";
import { sql } from "../store/database.ts";
import { asFault, type Fault } from "./provision.ts";
import {
  type Delta,
  doubtAccounts,
  memberDelta,
  noteName,
  noteSending,
  noteSent,
  seedMembers,
  takeMembers,
} from "./pushMembers.ts";
import { type EngineApp, lease_margin_ms, type World } from "./world.ts";

/** A claimed push. */
export type ClaimedPush = Readonly<{
  id: string;
  app_id: string;
  group_id: string;
  name: string;
  description: string | null;
  everyone: boolean;
  mode: "create" | "link";
  target_id: string | null;
  target_name: string | null;
  pushed_name: string | null;
  unlinking: "leave" | "delete" | null;
  full_check: boolean;
  was_unsure: boolean;
  attempts: number;
  had_fault: boolean;
  generation: number;
  cause: number | null;
  claim: string;
  claimed_until: Date;
}>;

/** What a push did. `cut`: the lease ran out or was lost between two packets; the rest is due at once. */
export type PushResult = Readonly<{
  claimed: ClaimedPush;
  ended: "done" | "cut" | "unlinked" | "fault";
  target_id: string | null;
  pushed_name: string | null;
  added: number;
  removed: number;
  member_faults: number;
  requests: readonly string[];
  started_at: Date;
  fault?: Fault;
}>;

let claims = 0;

/** Claims due pushes of an app, the oldest first. */
export async function claimPushes(world: World, app_id: string, n: number): Promise<ClaimedPush[]> {
  const now = world.now();
  const { rows } = await sql<ClaimedPush>`
    with picked as (
      select id, unsure from pushed_groups
      where app_id = ${app_id} and due_at <= ${now}::timestamptz and (status = 'ACTIVE' or unlinking is not null)
        and (claimed_until is null or claimed_until <= ${now}::timestamptz)
      order by due_at limit ${n} for update skip locked
    )
    update pushed_groups p set claimed_by = ${`${world.node}:p${++claims}`}, unsure = true,
      claimed_until = ${new Date(now.getTime() + world.lease_ms)}::timestamptz
    from picked, groups g
    where p.id = picked.id and g.id = p.group_id
    returning p.id, p.app_id, p.group_id, g.profile->>'name' as name, g.profile->>'description' as description,
      g.type = 'BUILT_IN' as everyone, p.mode, p.target_id, p.target_name, p.pushed_name, p.unlinking, p.full_check,
      picked.unsure as was_unsure, p.attempts, p.fault is not null as had_fault, p.generation, p.cause, p.claimed_by as claim, p.claimed_until`.execute(
    world.db,
  );
  return rows;
}

type Progress = {
  target_id: string | null;
  pushed_name: string | null;
  added: number;
  removed: number;
  member_faults: number;
};

/** Brings one claimed group in the app to what ours is. Never throws for what an app does. */
export async function operatePush(world: World, app: EngineApp, claimed: ClaimedPush): Promise<PushResult> {
  const requests: string[] = [];
  const progress: Progress = {
    target_id: claimed.target_id,
    pushed_name: claimed.pushed_name,
    added: 0,
    removed: 0,
    member_faults: 0,
  };
  const started_at = world.now();
  const lease = { until: claimed.claimed_until };
  const context = (): Context => ({
    signal: world.deadline(new Date(lease.until.getTime() - lease_margin_ms)),
    log: (line) => void (requests.length < 8 && requests.push(`${line.request} ${line.status ?? ""}`.trim())),
    now: () => world.now(),
  });
  const end = (ended: PushResult["ended"], fault?: Fault): PushResult => ({
    claimed,
    ended,
    ...progress,
    requests,
    started_at,
    ...(fault ? { fault } : {}),
  });
  try {
    const groups = app.connector.groups;
    if (groups === undefined) throw new ConnectorFault("unsupported", `${app.label} has no groups to push to`);
    if (claimed.unlinking !== null) {
      if (claimed.unlinking === "delete" && claimed.target_id !== null)
        await groups.delete(context(), claimed.target_id);
      return end("unlinked");
    }
    const fresh = await settleTarget(world, app, groups, context(), claimed, progress);
    if (!fresh && claimed.target_id !== null && (claimed.was_unsure || claimed.full_check))
      await seedMembers(world, claimed, progress.target_id ?? "", groups, context());
    const delta = await memberDelta(world, claimed);
    const whole = await sendMembers(world, groups, context, claimed, delta, progress, lease);
    return end(whole ? "done" : "cut");
  } catch (error) {
    const fault = asFault(error);
    if (fault.kind !== "not_found") return end("fault", fault);
    // The group is gone from the app. Ours is made again at the next try; one that was linked by its id never comes back.
    const ours = claimed.mode === "create" || claimed.target_name !== null;
    if (ours) progress.target_id = null;
    return end("fault", ours ? fault : { ...fault, kind: "invalid", message: `${fault.message}: link another group` });
  }
}

/** The group in the app: found, linked, created or renamed. Gives true when it was created just now, so it is empty. */
async function settleTarget(
  world: World,
  app: EngineApp,
  groups: GroupOperations,
  ctx: Context,
  claimed: ClaimedPush,
  progress: Progress,
): Promise<boolean> {
  const name = claimed.target_name ?? claimed.name;
  const description = claimed.description ?? undefined;
  const words = { name, ...(description === undefined ? {} : { description }) };
  if (progress.target_id === null) {
    // A create that was lost may have been sent with the name before a rename: look for that one first.
    const names = new Set([claimed.pushed_name ?? name, name]);
    let found: readonly RemoteGroup[] = [];
    for (const candidate of names) if (found.length === 0) found = await groups.find(ctx, candidate);
    if (found.length > 1) {
      throw new ConnectorFault(
        "conflict",
        `${app.label} has ${found.length} groups named ${name}: link one by its id, or rename the others`,
      );
    }
    if (found[0] === undefined) {
      await noteName(world, claimed, name);
      progress.target_id = (await groups.create(ctx, { ...words, key: claimed.id })).id;
      progress.pushed_name = name;
      return true;
    }
    progress.target_id = found[0].id;
    progress.pushed_name = found[0].name;
    await seedMembers(world, claimed, found[0].id, groups, ctx);
  }
  if (claimed.target_id !== null && (claimed.was_unsure || claimed.full_check)) {
    const remote = await groups.read(ctx, progress.target_id);
    if (remote === null)
      throw new ConnectorFault(
        "not_found",
        `${app.label} no longer has the group ${progress.pushed_name ?? progress.target_id}`,
      );
    progress.pushed_name = remote.name;
  }
  if (progress.pushed_name !== name && !(claimed.mode === "link" && claimed.pushed_name === null)) {
    await groups.rename(ctx, progress.target_id, words);
  }
  progress.pushed_name = name;
  return false;
}

/** Sends the delta packet by packet, renewing the lease after each. Gives false when it had to stop early. */
async function sendMembers(
  world: World,
  groups: GroupOperations,
  context: () => Context,
  claimed: ClaimedPush,
  delta: Delta,
  progress: Progress,
  lease: { until: Date },
): Promise<boolean> {
  const target = progress.target_id ?? "";
  for (const packet of takeMembers(delta, groups)) {
    if (world.now().getTime() >= lease.until.getTime() - lease_margin_ms) return false;
    await noteSending(world, claimed, packet);
    const results = await groups.change(context(), target, {
      add: packet.add.map((member) => member.external_id),
      remove: packet.remove.map((member) => member.external_id),
    });
    const until = await noteSent(world, claimed, packet, results);
    progress.added += packet.add.length;
    progress.removed += packet.remove.length;
    progress.member_faults += results.filter((result) => result.fault !== undefined).length;
    await doubtAccounts(world, claimed, results);
    if (until === undefined) return false;
    lease.until = until;
  }
  return true;
}
