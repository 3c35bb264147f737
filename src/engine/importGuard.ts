/**
 * The guard: an import is judged whole before its first write. One that would make too many people leave, or empty an
 * attribute for too many, is held with nothing of it applied, until a person has looked at the names. What empties an
 * attribute takes people out of the groups that rules fill by it, and so takes their access (core/guard.ts has the measure).
 */
import { judgeLosses, type Loss } from "../core/guard.ts";
import { loadMappings } from "../directory/mappings.ts";
import { sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import { findCutOff } from "./importGuardDates.ts";
import type { CutOff } from "./importHeld.ts";
import { readBy } from "./importNeeds.ts";
import { changesOf, type Staged, stageOf } from "./importStage.ts";
import { lossOfMembers } from "./sessionGroups.ts";

/** Leavers that a source names one by one are judged as if it had named all of a day at once. */
const together_ms = 86_400_000;

/** `count`: of the largest loss, to be typed in by whoever lets it pass. `cut_off`: whom dates cut off, if that counted. */
export type Verdict = Readonly<{ why: string; count: number; cut_off: readonly CutOff[] }>;

/**
 * Why the import is held, or undefined. Okta's measure (20 %) with a floor in people, so that small companies can work. A
 * list without a single row has no floor: it is far more often a file that went wrong than a company that closed.
 */
export async function judgeImport(run: ImportRun, staged: Staged): Promise<Verdict | undefined> {
  const { sourcing, app_id, label } = run;
  const { session } = run.request;
  const counts = await countChanges(run);
  const scope = { type: "source", id: app_id, name: label } as const;
  const losses: Loss[] = [];
  const empty = staged.rows === 0 && run.request.mode === "full" && session === undefined;
  const limit = { percent: sourcing.guard_percent, at_least: empty ? 0 : sourcing.guard_people, absolute: null };
  const rules = [{ kind: null, scope_type: null, scope_id: null, limit }];
  const leaving = sourcing.on_inactive === "none" ? 0 : counts.leaving;
  const before = (session?.single || run.people) && leaving > 0 ? await countSingles(run) : 0;
  const gone: Loss = { kind: "users_deactivated", scope, count: leaving + before, total: counts.total + before };
  // Dates cut off as many as change at most: most imports are spared reading them.
  const may = "held" in judgeLosses([{ ...gone, count: gone.count + counts.changing }], rules);
  const cut_off = may ? await findCutOff(run) : [];
  const kind = sourcing.on_inactive === "suspend" && cut_off.length === 0 ? "users_suspended" : "users_deactivated";
  losses.push({ ...gone, kind, count: gone.count + cut_off.length });
  if (session) losses.push(await lossOfMembers(run, session.id, scope));
  // Only an import that changes so many can empty an attribute of so many: most are spared reading the profiles.
  const all: Loss = { kind: "values_cleared", scope, count: counts.changing, total: counts.total };
  if ("held" in judgeLosses([all], rules)) {
    for (const { attribute, count } of await countCleared(run)) losses.push({ ...all, attribute, count });
  }
  const judged = judgeLosses(losses, rules);
  if (!("held" in judged)) return undefined;
  const whys = judged.held.map((one) => one.why);
  const why = [...(empty ? [`The list of ${label} has no row that can be read`] : []), ...whys].join(". ");
  return { why, count: Math.max(...judged.held.map(({ loss }) => loss.count)), cut_off };
}

/**
 * Why people whom a source sends away one by one are held, or undefined: these, with those of the last day. Whoever is
 * there is only counted where so many leave that it matters.
 */
export async function judgeLeavers(run: ImportRun, leaving: number): Promise<string | undefined> {
  const { sourcing, app_id, label, world } = run;
  if (sourcing.on_inactive === "none" || leaving === 0) return undefined;
  const before = await countSingles(run);
  if (before + leaving < sourcing.guard_people) return undefined;
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from accounts where app_id = ${app_id} and (have->>'enabled')::boolean`.execute(world.db);
  const kind = sourcing.on_inactive === "suspend" ? "users_suspended" : "users_deactivated";
  const scope = { type: "source", id: app_id, name: label } as const;
  const loss: Loss = { kind, scope, count: before + leaving, total: (rows[0]?.n ?? 0) + before };
  return heldBecause(run, [loss]);
}

/** Why these losses are held by the source's own limits, or undefined. */
export function heldBecause({ sourcing }: Pick<ImportRun, "sourcing">, losses: readonly Loss[]): string | undefined {
  const limit = { percent: sourcing.guard_percent, at_least: sourcing.guard_people, absolute: null };
  const judged = judgeLosses(losses, [{ kind: null, scope_type: null, scope_id: null, limit }]);
  return "held" in judged ? judged.held.map(({ why }) => why).join(". ") : undefined;
}

/**
 * `total`: people who are active in the source now; 0 where nobody's row differs, which a million need not be read for.
 * `changing`: people of ours whose row differs and who stay.
 */
type Counts = Readonly<{ leaving: number; changing: number; total: number }>;

async function countChanges({ world, id, app_id }: ImportRun): Promise<Counts> {
  const { rows } = await sql<Counts>`
    select count(*) filter (where not c.enabled and u.status not in ('DEPROVISIONED', 'SUSPENDED'))::int as leaving,
      count(*) filter (where c.enabled)::int as changing,
      case when count(*) = 0 then 0 else (
        select count(*)::int from accounts a where a.app_id = ${app_id} and (a.have->>'enabled')::boolean) end as total
    from ${changesOf(id)} c join users u on u.id = c.user_id`.execute(world.db);
  return rows[0] ?? { leaving: 0, changing: 0, total: 0 };
}

/** Who left of late by records that came one by one; those that a person let pass are not counted again. */
async function countSingles({ world, app_id }: ImportRun): Promise<number> {
  const since = new Date(world.now().getTime() - together_ms);
  const { rows } = await sql<{ n: number }>`
    select count(*)::int as n from imports i join import_rows r on r.import_id = i.id and r.outcome = 'left'
    where i.app_id = ${app_id} and i.started_at > ${since}::timestamptz and i.detail->'single' = 'true'
      and not i.detail ? 'released'`.execute(world.db);
  return rows[0]?.n ?? 0;
}

/** How many members a source has taken out of its groups by single pushes in the last day. */
export async function countTakenOut({ world, app_id }: ImportRun): Promise<number> {
  const since = new Date(world.now().getTime() - together_ms);
  const { rows } = await sql<{ n: number }>`
    select coalesce(sum((counts->>'members_removed')::int), 0)::int as n from imports
    where app_id = ${app_id} and started_at > ${since}::timestamptz and detail->'single' = 'true'`.execute(world.db);
  return rows[0]?.n ?? 0;
}

/** For each attribute of the source that fills one of users, how many people had a value and have none any more. */
async function countCleared({
  world,
  id,
  app_id,
  sourcing,
}: ImportRun): Promise<readonly { attribute: string; count: number }[]> {
  const lines = (await loadMappings(world.db)).get(app_id)?.to_user ?? [];
  const clearing = lines.filter(({ line }) => line.push === "always" && line.when_empty === "clear");
  const names = [...new Set([...clearing.flatMap(readBy), ...Object.values(sourcing.every_job ?? {})])];
  if (names.length === 0) return [];
  const empty = (profile: string, name: string) =>
    sql`coalesce(${sql.ref(profile)}->>${sql.lit(name)}, '') in ('', '[]', '{}')`;
  const counted = names.map(
    (name) => sql`count(*) filter (where ${empty("p.is", name)} and not ${empty("p.was", name)})::int`,
  );
  const { rows } = await sql<{ counts: readonly number[] }>`
    select array[${sql.join(counted)}] as counts
    from (select s.profile::jsonb as is, a.have->'profile' as was from ${changesOf(id)} c
      join ${stageOf(id)} s on s.line = c.line
      join accounts a on a.app_id = ${app_id} and a.user_id = c.user_id where c.enabled offset 0) p`.execute(world.db);
  return names.map((attribute, n) => ({ attribute, count: rows[0]?.counts[n] ?? 0 }));
}
