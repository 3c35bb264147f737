/**
 * The accounts of some apps as a preview reads them: in order of their people, page by page, the next page under way while
 * one is worked on. What is not needed of an account is not made of its JSON.
 */
import type { RawBuilder } from "kysely";
import type { Have, Profile, UserStatus, Want } from "../core/types.ts";
import type { PlannedMapping } from "../directory/mappings.ts";
import { type Database, sql } from "../store/database.ts";

/** What a step is planned from. `have` is read when it is asked for. */
export type Before = Readonly<{ user_id: string; login: string; want: Want | null; have: () => Have | null }>;

/** An assigned account. `reads`: the attributes of its person that were asked for, and perhaps more. */
export type AccountRow = Before &
  Readonly<{ app_id: string; status: UserStatus; time_zone: string | null; reads: Profile }>;

/** What is read for changed lines. */
export type Reads = Readonly<{
  /** Attributes of the user. */
  user: readonly string[];
  /**
   * Attributes of the account that the change touches: of an account whose app has all that is wanted, want and have are
   * cut to these, for whatever else they hold is the same before and after. Half of this process's time.
   */
  touched: readonly string[];
}>;

/** So many pairs fit into one call of jsonb_build_object, and more are no cheaper than the whole. */
const names_max = 20;

/**
 * What a change reads; null: something that is not in the user's row. Nothing computes a person again when their own
 * account has changed, so where any line reads that account, unchanged ones may give something new, too.
 */
export function readsOf({ lines, changed, removed }: PlannedMapping): Reads | null {
  if (lines.some(({ reads }) => reads !== null && reads.appuser.length > 0)) return null;
  const names = new Set<string>();
  for (const { reads } of changed) {
    if (reads === null || reads.groups !== null) return null;
    const beside = [reads.accounts, reads.directories, reads.people];
    if (beside.some((some) => Object.keys(some).length > 0)) return null;
    for (const name of [...reads.user, ...reads.source]) names.add(name);
  }
  return { user: [...names], touched: [...changed.map((line) => line.attribute), ...removed] };
}

/** An app whose accounts are read. `reads`: null for nothing of their people. `lists`: attributes with many values. */
export type ReadApp = Readonly<{ app_id: string; reads: Reads | null; lists: readonly string[] }>;

type Row = Omit<AccountRow, "have"> & Readonly<{ in_step: boolean; have_text: string | null }>;

/** Assigned accounts of apps, `limit` at a time: those of one person follow each other. */
export async function* readAccounts(
  db: Database,
  apps: readonly ReadApp[],
  limit: number,
): AsyncGenerator<readonly AccountRow[]> {
  const statement = statementOf(apps, limit);
  let next: Promise<readonly Row[]> | undefined = readPage(db, statement, undefined);
  while (next !== undefined) {
    const rows: readonly Row[] = await next;
    const last = rows.length < limit ? undefined : rows.at(-1);
    next = last && readPage(db, statement, last);
    // Whoever stops in the middle does not wait for it.
    next?.catch(() => {});
    if (rows.length > 0) yield rows.map(accountRow);
  }
}

type Place = Pick<Row, "user_id" | "app_id">;

async function readPage(db: Database, statement: (after: Place) => RawBuilder<Row>, after: Place | undefined) {
  return (await statement(after ?? { user_id: "", app_id: "" }).execute(db)).rows;
}

function statementOf(apps: readonly ReadApp[], limit: number): (after: Place) => RawBuilder<Row> {
  const person = picked(
    sql`u.profile`,
    apps.flatMap(({ reads }) => reads?.user ?? []),
  );
  const touched = apps.flatMap(({ reads }) => reads?.touched ?? []);
  const cut = sql`jsonb_build_object('enabled', a.want->'enabled', 'create', a.want->'create',
    'profile', ${picked(sql`a.want->'profile'`, touched)})`;
  const ids = apps.map(({ app_id }) => app_id);
  return (after) => sql<Row>`
    select a.app_id, a.user_id, u.login, u.status, u.time_zone, a.in_step,
      case when a.in_step then ${cut} else a.want end as want,
      case when not a.in_step then a.have::text end as have_text, ${person} as reads
    from (select app_id, user_id, want, have, ${inStep(apps)} as in_step from accounts
          where app_id = any(${ids}::text[]) and (user_id, app_id) > (${after.user_id}, ${after.app_id}) and assigned
          order by user_id, app_id limit ${limit}) a
      join users u on u.id = a.user_id order by a.user_id, a.app_id`;
}

/**
 * Whether the app was seen to have every plain value that is wanted, and the touched attributes are among them. Containment
 * of a list says only that nothing is missing, so an account with a list is not asked this way.
 */
function inStep(apps: readonly ReadApp[]): RawBuilder<unknown> {
  const cases = apps.map(({ app_id, reads, lists }) => {
    if (reads === null) return sql`when ${app_id} then false`;
    return sql`when ${app_id} then want->'profile' ?& ${[...reads.touched]}::text[] and not want->'profile' ?| ${[...lists]}::text[]`;
  });
  return sql`coalesce(have->'enabled' = want->'enabled' and have->'profile' @> (want->'profile')
    and case app_id ${sql.join(cases, sql` `)} end, false)`;
}

const picked = (object: RawBuilder<unknown>, given: readonly string[]) => {
  const names = [...new Set(given)];
  if (names.length === 0) return sql`'{}'::jsonb`;
  if (names.length > names_max) return object;
  return sql`jsonb_build_object(${sql.join(names.map((name) => sql`${name}::text, ${object}->${name}::text`))})`;
};

function accountRow({ in_step, have_text, ...row }: Row): AccountRow {
  let have: Have | null | undefined = in_step ? row.want : undefined;
  return {
    ...row,
    have: () => {
      if (have === undefined) have = have_text === null ? null : (JSON.parse(have_text) as Have | null);
      return have;
    },
  };
}
