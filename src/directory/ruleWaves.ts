/**
 * Writing what rules give and no longer give to many people at once: grants, history, log, groups and pushes, without
 * their ids travelling through this process.
 *
 * Law: the people are locked, the gate is passed and who must be computed again is marked (engine/ruleEvaluation.ts).
 * As long as a wave is small every membership is an event; of a large one there is an event for each rule and group and
 * part of the wave, with numbers, and the grants themselves name the event that led to them.
 */
import type { RawBuilder } from "kysely";
import { sql } from "../store/database.ts";
import { logAll, type Running } from "./command.ts";
import { applyRuleGrants, touchGroups } from "./memberships.ts";

/** A grant to write (`adds`) or to end. */
export type RuleMove = Readonly<{ user_id: string; group_id: string; rule_id: string; adds: boolean }>;

/** Moves as a relation `(user_id, group_id, rule_id, adds)`. */
export type RuleMoves = RawBuilder<unknown>;

/**
 * `causes`: rule → its name and the event that made it due. `each_max`: with more moves than this, they are not told one
 * by one. `mark`: the people are marked dirty, with the events as causes.
 */
export type Wave = Readonly<{
  causes: ReadonlyMap<string, Readonly<{ name: string; cause: number | null }>>;
  each_max: number;
  mark: boolean;
}>;

/** How many grants were written and ended. */
export type Written = Readonly<{ added: number; removed: number }>;

/** Moves that were computed here, as a relation. */
export const movesSql = (moves: readonly RuleMove[]): RuleMoves => sql`
  select * from unnest(${moves.map((move) => move.user_id)}::text[], ${moves.map((move) => move.group_id)}::text[],
    ${moves.map((move) => move.rule_id)}::text[], ${moves.map((move) => move.adds)}::boolean[])
    as g(user_id, group_id, rule_id, adds)`;

/** Writes the moves. */
export async function writeWave(running: Running, moves: RuleMoves, wave: Wave): Promise<Written> {
  if (wave.each_max > 0) {
    const { rows } = await sql<RuleMove>`
      select * from (${moves}) as d order by d.user_id, d.group_id, d.rule_id limit ${wave.each_max + 1}`.execute(
      running.db,
    );
    if (rows.length <= wave.each_max) return writeEach(running, rows, wave);
  }
  return writeAll(running, moves, wave);
}

async function writeEach(running: Running, moves: readonly RuleMove[], wave: Wave): Promise<Written> {
  if (moves.length === 0) return { added: 0, removed: 0 };
  const add = moves.filter((move) => move.adds);
  const remove = moves.filter((move) => !move.adds);
  const causes = new Map([...wave.causes].map(([id, { cause }]) => [id, cause]));
  await applyRuleGrants(running, { add, remove }, { causes, mark: wave.mark });
  return { added: add.length, removed: remove.length };
}

type Sum = Readonly<{ rule_id: string; group_id: string; name: string; added: number; removed: number }>;

async function writeAll(running: Running, moves: RuleMoves, wave: Wave): Promise<Written> {
  const causes = [...wave.causes].map(([rule_id, { cause }]) => ({ rule_id, cause }));
  // One statement: somebody handed from one rule to another never leaves the group.
  const { rows } = await sql<Sum>`
    with moves as materialized (${moves}),
    gone as (
      delete from membership_grants m using moves d
      where not d.adds and m.user_id = d.user_id and m.group_id = d.group_id and m.kind = 'rule'
        and m.source_id = d.rule_id
      returning m.group_id, m.source_id as rule_id),
    made as (
      insert into membership_grants (user_id, group_id, kind, source_id, cause, created_at)
      select d.user_id, d.group_id, 'rule', d.rule_id, c.cause, ${running.now()}::timestamptz
      from moves d
      left join jsonb_to_recordset(${JSON.stringify(causes)}::jsonb) as c(rule_id text, cause bigint)
        on c.rule_id = d.rule_id
      where d.adds order by d.user_id, d.group_id, d.rule_id
      returning group_id, source_id as rule_id),
    sums as (
      select rule_id, group_id, sum(added)::int as added, sum(removed)::int as removed
      from (select rule_id, group_id, 1 as added, 0 as removed from made
            union all select rule_id, group_id, 0, 1 from gone) as one group by rule_id, group_id)
    select s.*, coalesce(g.profile->>'name', s.group_id) as name from sums s left join groups g on g.id = s.group_id
    order by s.rule_id, s.group_id`.execute(running.db);
  if (rows.length === 0) return { added: 0, removed: 0 };
  const seqs = await logAll(
    running,
    rows.map((sum) => waveEvent(sum, wave)),
  );
  await touchGroups(
    running,
    rows.map((sum) => sum.group_id),
    seqs.at(-1) ?? null,
  );
  const total = (of: (sum: Sum) => number) => rows.reduce((all, sum) => all + of(sum), 0);
  return { added: total((sum) => sum.added), removed: total((sum) => sum.removed) };
}

function waveEvent({ rule_id, group_id, name, added, removed }: Sum, wave: Wave) {
  const rule = wave.causes.get(rule_id);
  return {
    type: "group.user_membership.rule.wave",
    cause: rule?.cause ?? null,
    targets: [
      { id: group_id, type: "UserGroup" as const, name },
      { id: rule_id, type: "GroupRule" as const, name: rule?.name ?? rule_id },
    ],
    group_id,
    detail: { added, removed },
  };
}
