/**
 * The schedule: what the passing of time alone changes. Each turn is a handful of set-based commands that any node may
 * run at any moment, twice or together with another: they look at what is due by the clock, so what one has done the
 * next finds done.
 */
import { expireAssignments } from "../directory/assignments.ts";
import { type Command, priority, run } from "../directory/command.ts";
import { expireSessions, forgetRecords } from "../directory/importSessions.ts";
import { expireLicences } from "../directory/licences.ts";
import { markDirtyWhere } from "../directory/marks.ts";
import { expireMemberships } from "../directory/memberships.ts";
import { endForgottenPeople } from "../directory/peopleImports.ts";
import { applyPushRules } from "../directory/pushRules.ts";
import { markRulesDue } from "../directory/ruleDue.ts";
import { expireExceptions } from "../directory/rules.ts";
import { giveUpSessions } from "../directory/sessionTurns.ts";
import { readSetting, setSetting } from "../directory/settings.ts";
import { sql } from "../store/database.ts";
import { system } from "../store/log.ts";
import { loadCompany } from "./company.ts";
import { endForgotten } from "./importEnds.ts";
import { readAgainSoon } from "./importSchedule.ts";
import { node_silence_ms, reading_ms } from "./importStage.ts";
import { reconcileApp } from "./reconcile.ts";
import { passDays } from "./times.ts";
import type { World } from "./world.ts";

const batch = 500;
/** Rules and mappings that ask the clock speak of days; an hour's lateness at local midnight is the most they show. */
const clock_ms = 3_600_000;

/** Does what is due. Gives true when there may be more at once. */
export async function schedule(world: World): Promise<boolean> {
  const command: Command = { db: world.db, now: () => world.now(), actor: system };
  await beat(world);
  await readAgainSoon(command, await endForgotten(command));
  await endForgottenPeople(command, {
    silent_since: before(world, node_silence_ms),
    long_ago: before(world, reading_ms),
  });
  const days = await passDays(world, command);
  const done = [
    await expireMemberships(command, world.now(), batch),
    await expireAssignments(command, world.now(), batch),
    await expireExceptions(command, world.now(), batch),
    await expireLicences(command, world.now()),
  ];
  await expireSessions(command);
  await giveUpSessions(command, { now: world.now(), silent_since: before(world, node_silence_ms) });
  await sql`delete from secrets where expires_at <= ${world.now()}::timestamptz`.execute(world.db);
  await askTheClock(world, command);
  return days || done.some((count) => count >= batch);
}

const before = (world: World, ms: number) => new Date(world.now().getTime() - ms);

/** This node lives: imports and locks of silent nodes are taken over. */
async function beat(world: World): Promise<void> {
  await sql`
    insert into nodes (id, started_at, seen_at) values (${world.node}, ${world.now()}::timestamptz, ${world.now()}::timestamptz)
    on conflict (id) do update set seen_at = excluded.seen_at
      where nodes.seen_at < ${new Date(world.now().getTime() - 10_000)}::timestamptz`.execute(world.db);
  await sql`delete from nodes where seen_at < ${new Date(world.now().getTime() - 86_400_000)}::timestamptz`.execute(
    world.db,
  );
}

/** Rules and mappings that ask the clock are asked again every hour, behind all other work; so are push rules. */
async function askTheClock(world: World, command: Command): Promise<void> {
  const last = await readSetting(world.db, "engine.clock_asked_at");
  if (typeof last === "string" && world.now().getTime() - Date.parse(last) < clock_ms) return;
  const company = await loadCompany(world.db, world.now());
  if (company.reads_clock) {
    await markDirtyWhere(command, sql`u.status <> 'DEPROVISIONED'`, priority.scan, null);
  }
  const rules = company.rules.filter((rule) => rule.clock).map((rule) => rule.id);
  if (rules.length > 0) await run(command, (running) => markRulesDue(running, rules, null));
  await applyPushRules(command);
  await forgetRecords(command);
  await setSetting(command, "engine.clock_asked_at", world.now().toISOString());
}

/**
 * Reconciles one app that is due; the next due time is set first, so that one node does it. Gives true when there was
 * one. Long: the loop runs it beside everything else.
 */
export async function reconcileDue(world: World): Promise<boolean> {
  const { rows } = await sql<{ app_id: string }>`
    with picked as (
      select h.app_id from app_health h join apps a on a.id = h.app_id
      where h.reconcile_due_at <= ${world.now()}::timestamptz and a.status = 'ACTIVE' and a.sourcing is null
        and a.kind not in ('none', 'manual', 'csv', 'push', 'scim_in') and (h.paused_until is null or h.paused_until <= ${world.now()}::timestamptz)
      order by h.reconcile_due_at limit 1 for update of h skip locked
    )
    update app_health h set reconciled_at = ${world.now()}::timestamptz,
      reconcile_due_at = ${world.now()}::timestamptz + make_interval(hours => coalesce((a.provisioning->>'reconcile_hours')::int, 24))
    from picked, apps a where h.app_id = picked.app_id and a.id = h.app_id
    returning h.app_id`.execute(world.db);
  const due = rows[0]?.app_id;
  if (due === undefined) return false;
  await sql`
    update pushed_groups set full_check = true, due_at = least(coalesce(due_at, ${world.now()}::timestamptz), ${world.now()}::timestamptz)
    where app_id = ${due} and status = 'ACTIVE'`.execute(world.db);
  await reconcileApp(world, due);
  return true;
}
