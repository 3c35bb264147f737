/** What people have decided about rows that waited (directory/waitingRows.ts), as an import carries it out. */
import type { ArrivalDecision } from "../core/arrival.ts";
import { type Database, sql } from "../store/database.ts";
import type { ImportRun } from "./import.ts";

/** Is anything decided about rows of this source? Most imports are spared asking for each chunk. */
export async function hasDecisions({ world, app_id }: ImportRun): Promise<boolean> {
  const { rows } = await sql`select from import_decisions where app_id = ${app_id} limit 1`.execute(world.db);
  return rows.length > 0;
}

/** The decisions about rows, by their ids, in one query. */
export async function findDecisions(
  db: Database,
  app_id: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, ArrivalDecision>> {
  const { rows } = await sql<{
    external_id: string;
    kind: ArrivalDecision["kind"];
    by: string;
    user_id: string | null;
    row: string | null;
    enabled: boolean | null;
  }>`
    select d.external_id, d.kind, d.decided_by as by, u.id as user_id, a.external_id as row,
      (a.have->>'enabled')::boolean as enabled
    from import_decisions d left join users u on u.id = d.user_id
    left join accounts a on a.app_id = d.app_id and a.user_id = u.id
    where d.app_id = ${app_id} and d.external_id = any(${[...ids]}::text[])`.execute(db);
  return new Map(
    rows.map(({ external_id, kind, by, user_id, row, enabled }) => {
      const former = row !== null && enabled !== true;
      const match = user_id === null ? null : { user_id, row: former ? null : row, former };
      return [external_id, { kind, by, match }];
    }),
  );
}

/** Takes away what has been carried out: the rows are somebody's now. */
export async function settleDecisions({ world, app_id }: ImportRun): Promise<void> {
  await sql`
    delete from import_decisions d using accounts a
    where d.app_id = ${app_id} and a.app_id = d.app_id and a.external_id = d.external_id`.execute(world.db);
}
