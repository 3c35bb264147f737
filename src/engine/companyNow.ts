/**
 * The company as it is now, for a batch of desire: read again only when something of it has changed. One statement tells,
 * by the rows' own versions (xmin) and by what the clock makes of expiries, in place of the seven that read it all.
 *
 * Law: a node decides by what is stored now and never by what it remembers: whatever `loadCompany` reads is in the print.
 */
import { type Database, sql } from "../store/database.ts";
import { type Company, loadCompany } from "./company.ts";
import type { World } from "./world.ts";

/** `pushes`: there are pushed groups, which may wait for accounts. */
export type CompanyNow = Readonly<{ company: Company; pushes: boolean }>;

/** By database: a simulation has many. */
const remembered = new WeakMap<Database, Readonly<{ print: string; company: Company }>>();

/** Gives the company as `db`, a transaction of the world's database, sees it. */
export async function companyNow(world: World, db: Database): Promise<CompanyNow> {
  const now = world.now();
  const known = remembered.get(world.db);
  const { print, pushes } = await readPrint(db, now, known?.company.everyone.id ?? "");
  if (known?.print === print) return { company: known.company, pushes };
  const company = await loadCompany(db, now);
  remembered.set(world.db, { print, company });
  return { company, pushes };
}

async function readPrint(
  db: Database,
  now: Date,
  everyone: string,
): Promise<Readonly<{ print: string; pushes: boolean }>> {
  const { rows } = await sql<{ print: string; pushes: boolean }>`
    select md5(concat_ws('|',
      (select string_agg(concat_ws(' ', id, xmin, licence_expires_at <= ${now}::timestamptz), ',' order by id) from apps),
      (select string_agg(concat_ws(' ', id, xmin), ',' order by id) from schemas),
      (select string_agg(concat_ws(' ', id, xmin), ',' order by id) from mappings),
      (select string_agg(concat_ws(' ', id, xmin, expires_at <= ${now}::timestamptz), ',' order by id) from group_assignments),
      (select xmin from settings where name = 'org'),
      -- A group's row changes with its members, which is no matter here.
      (select concat_ws(' ', id, profile) from groups where id = ${everyone}),
      (select string_agg(concat_ws(' ', id, xmin), ',' order by id) from rules where status = 'ACTIVE'),
      (select string_agg(concat_ws(' ', id, type, profile), ',' order by id) from groups
       where id in (select unnest(group_ids) from rules where status = 'ACTIVE')))) as print,
      exists (select from pushed_groups where status = 'ACTIVE') as pushes`.execute(db);
  return rows[0] ?? { print: "", pushes: true };
}
