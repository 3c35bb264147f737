/**
 * Logins that people had before, and whose they stay: which attributes of users hold them, and who would take another's.
 * The database keeps and guards them (migrations/0023_facts.ts); this is for the words.
 *
 * Called by sourceNames.ts when a source is told to keep them, and by uniqueness.ts.
 */
import { aliasesIn } from "../core/aliases.ts";
import type { Profile, Refusal, Schema } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { Running } from "./command.ts";

/** Guards what an attribute holds, from when a source keeps aliases there; what is there already counts. */
export async function nameAliases(running: Running, name: string): Promise<void> {
  const { rows } = await sql`select from alias_attributes where name = ${name}`.execute(running.db);
  if (rows.length > 0) return;
  await sql`insert into alias_attributes (name) values (${name}) on conflict do nothing`.execute(running.db);
  // Nobody's who is somebody's login today, and of two people the first one's.
  await sql`
    insert into login_aliases (alias, user_id)
    select x.alias, u.id from users u, aliases_of(u.profile, array[${name}::text]) x
    where u.profile ? ${name}::text and not exists (select from users o where o.login = x.alias and o.id <> u.id)
    order by u.id on conflict do nothing`.execute(running.db);
}

/** Someone as they would become; see uniqueness.ts. */
type Candidate = Readonly<{ id: string | null; profile: Profile }>;

/** Those who would take a login that was another's: index in `candidates` → refusal that names who had it. */
export async function findFormer(
  db: Database,
  { aliases = [] }: Schema,
  candidates: readonly Candidate[],
): Promise<ReadonlyMap<number, Refusal>> {
  if (aliases.length === 0 || candidates.length === 0) return new Map();
  const claims = candidates.map(({ id, profile }, n) => ({ n, id, ...claimOf(profile, aliases) }));
  const { rows } = await sql<{ n: number; login: string; alias: string; now: boolean }>`
    with c as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(claims)}::jsonb) as c(n int, id text, login text, former jsonb)),
    names as (
      select n, id, login as name, false as former from c
      union all select n, id, f.value, true from c, jsonb_array_elements_text(c.former) as f(value))
    select x.n, u.login, x.name as alias, false as now from names x
    join login_aliases a on a.alias = x.name and a.user_id is distinct from x.id join users u on u.id = a.user_id
    union all
    select x.n, u.login, x.name, true from names x join users u on x.former and u.login = x.name and u.id is distinct from x.id
    order by n`.execute(db);
  const taken = new Map(rows.map(({ n, login, alias, now }) => [n, now ? isTheirs(alias) : wasTheirs(alias, login)]));
  // Of two in one set, the first one has it.
  const first = new Map<string, number>();
  for (const { n, login, former } of claims) {
    for (const name of taken.has(n) ? [] : [login, ...former]) {
      const earlier = first.get(name);
      if (earlier === undefined) first.set(name, n);
      else if (earlier !== n) taken.set(n, wasTheirs(name, claims[earlier]?.login ?? ""));
    }
  }
  return taken;
}

/** Does a change claim a login as someone's former one? */
export const claimsAliases = ({ aliases = [] }: Schema, before: Profile, after: Profile): boolean =>
  aliases.length > 0 && aliasesIn(before, aliases).join("\0") !== aliasesIn(after, aliases).join("\0");

const claimOf = (profile: Profile, aliases: readonly string[]) => ({
  login: String(profile["login"] ?? "").toLowerCase(),
  former: aliasesIn(profile, aliases),
});

const wasTheirs = (alias: string, login: string): Refusal => ({
  refused: `login: ${alias} was ${login}'s before and stays theirs; choose another, or take it out of that person's aliases`,
  ...{ code: "duplicate", place: "login" },
});

const isTheirs = (alias: string): Refusal => ({
  refused: `login: ${alias} is somebody's login, so it cannot be another's alias`,
  ...{ code: "duplicate", place: "login" },
});
