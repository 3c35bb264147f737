/**
 * What the planner believes of our tables. A queue is emptied every day: a VACUUM that finds it so leaves behind that its
 * pages hold nothing, and the wave that fills them an hour later is planned for one row, until autovacuum comes round
 * again a minute later. Statements that should take milliseconds then read the whole queue for each row that they touch.
 */
import { type Database, sql } from "../store/database.ts";

/** Below so many rows, no plan is bad enough to be felt: the square of them is compared in some milliseconds. */
const rows_min = 250;

/** So many times what the planner expects; autovacuum sees to what is nearer. */
const grown = 10;

/**
 * Analyses the tables that hold far more than the planner expects. Gives their names. Looking takes 0.3 ms, so each
 * node does it each second, and in the middle of a wave: told a second late, a wave of 50,000 took PostgreSQL 22 s of
 * processor time instead of 15. Of several nodes one analyses.
 */
export async function tellPlanner(db: Database): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    with grown as materialized (
      select c.oid, c.relname as name, pg_stat_get_live_tuples(c.oid) as held, c.reltuples / c.relpages as per_page
      from pg_class c
      -- Of a table that nobody has looked at yet the planner makes a good guess by its size.
      where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace and c.relpages > 0 and c.reltuples >= 0
        and pg_stat_get_live_tuples(c.oid) >= ${sql.lit(rows_min)}
    )
    select name from grown
    where held > ${sql.lit(grown)} * per_page * pg_relation_size(oid) / current_setting('block_size')::int
    order by name`.execute(db);
  const names = rows.map((row) => row.name);
  if (names.length > 0) await sql`analyze (skip_locked) ${sql.join(names.map((name) => sql.table(name)))}`.execute(db);
  return names;
}

/**
 * When to look in the middle of a wave: after its first turn, and whenever half as much again has come. A table that has
 * grown tenfold is found by then, and after each of a hundred turns the looks took half a hundredth of both processors.
 */
export function waveLooks(): (due: number, goes_on: boolean) => boolean {
  let came = 0;
  let next = 0;
  return (due, goes_on) => {
    came += due;
    const look = came > next;
    if (look) next = came * 1.5;
    if (!goes_on) came = next = 0;
    return look;
  };
}

/** From so many moves on, the planner is told what the grants now are, if that is another table. */
const moves_min = 50_000;
const moves_share = 0.1;

/**
 * Analyses the grants of memberships when rules have moved many of them: their number may be what it was, and whose they
 * are is not. Of 5.8 million it takes 0.3 s, a tenth of what a rule takes that moves 80,000.
 */
export async function tellPlannerOfMoves(db: Database, moved: number): Promise<void> {
  if (moved < moves_min) return;
  const { rows } = await sql<{ n: number }>`
    select greatest(reltuples, 0)::float8 as n from pg_class where oid = 'membership_grants'::regclass`.execute(db);
  if (moved >= (rows[0]?.n ?? 0) * moves_share) await sql`analyze membership_grants`.execute(db);
}
