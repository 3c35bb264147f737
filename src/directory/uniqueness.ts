/**
 * Whose value is it already? Finds, for a set of new or changed users, those whose login or unique custom attribute
 * belongs to somebody else, in the directory or earlier in the same set, so that the refusal can say to whom.
 *
 * Law: this is for the message; the database's unique indexes are what guarantees it (schemas.ts), and a race that slips
 * between the two ends in the same refusal, without the name. No value never conflicts.
 * Called by users.ts. Logins that were somebody's before are aliases.ts.
 */
import { createHash } from "node:crypto";
import { canonicalValue } from "../core/diff.ts";
import type { Attribute, Profile, Refusal, Schema } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import { findFormer } from "./aliases.ts";

/** A user as it would become. `id`: null for a new one. `profile`: the whole profile. */
export type Candidate = Readonly<{ id: string | null; profile: Profile }>;

/** Attributes of which no two users may have the same value. */
export function uniqueAttributes(schema: Schema): readonly Attribute[] {
  return schema.attributes.filter((attribute) => attribute.unique);
}

/** The name of the unique index of an attribute; a name too long for PostgreSQL ends in a digest instead. */
export function uniqueIndexName(table: "users" | "groups", attribute: string): string {
  const name = `${table}_unique_${attribute}`;
  if (name.length <= 63) return name;
  return `${name.slice(0, 50)}_${createHash("sha256").update(attribute).digest("hex").slice(0, 12)}`;
}

/** The refusal for a constraint that a race violated; undefined if it is none of users' unique constraints. */
export function refusalOfConstraint(schema: Schema, constraint: string): Refusal | undefined {
  if (constraint === "login_aliases_pkey") {
    return { refused: "login: it was just kept for somebody else", code: "duplicate", place: "login" };
  }
  const attribute = uniqueAttributes(schema).find(
    ({ name }) => constraint === (name === "login" ? "users_login_unique" : uniqueIndexName("users", name)),
  );
  if (attribute === undefined) return undefined;
  return { refused: `${attribute.name}: somebody else just took this value`, code: "duplicate", place: attribute.name };
}

/**
 * The candidates that may not be stored: index in `candidates` → refusal naming the attribute and whose value it is.
 * One query, whatever their number.
 */
export async function findTaken(
  db: Database,
  schema: Schema,
  candidates: readonly Candidate[],
): Promise<ReadonlyMap<number, Refusal>> {
  const unique = uniqueAttributes(schema);
  const taken = new Map<number, Refusal>();
  if (candidates.length === 0 || unique.length === 0) return taken;
  for (const { n, attribute, login } of await takenInDirectory(db, unique, candidates)) {
    const found = unique.find(({ name }) => name === attribute);
    if (found && !taken.has(n)) taken.set(n, duplicate(found, candidates[n], login));
  }
  for (const [n, refusal] of await findFormer(db, schema, candidates)) if (!taken.has(n)) taken.set(n, refusal);
  return new Map([...taken, ...findDoubles(schema, candidates, taken)]);
}

/**
 * The candidates whose value an earlier candidate of the same set has: index in `candidates` → refusal. Those in `except`
 * get nothing, so nobody is in their way.
 */
export function findDoubles(
  schema: Schema,
  candidates: readonly Candidate[],
  except: ReadonlyMap<number, Refusal> = new Map(),
): ReadonlyMap<number, Refusal> {
  const doubles = new Map<number, Refusal>();
  for (const attribute of uniqueAttributes(schema)) {
    const first = new Map<string, number>();
    for (const [n, { profile }] of candidates.entries()) {
      const value = canonicalValue(profile[attribute.name], attribute);
      if (value === null || except.has(n) || doubles.has(n)) continue;
      const earlier = first.get(value);
      if (earlier === undefined) first.set(value, n);
      else doubles.set(n, duplicate(attribute, candidates[n], String(candidates[earlier]?.profile["login"] ?? "")));
    }
  }
  return doubles;
}

type Taken = { n: number; attribute: string; login: string };

async function takenInDirectory(
  db: Database,
  unique: readonly Attribute[],
  candidates: readonly Candidate[],
): Promise<readonly Taken[]> {
  const input = candidates.map(({ id, profile }, n) => ({
    n,
    id,
    profile: Object.fromEntries(unique.map(({ name }) => [name, profile[name] ?? null])),
  }));
  const perAttribute = unique.map(({ name, case_exact }) => {
    const [mine, theirs] = [sql`c.profile->>${sql.lit(name)}`, sql`u.profile->>${sql.lit(name)}`];
    const same =
      name === "login"
        ? sql`u.login = lower(${mine})`
        : case_exact
          ? sql`(${theirs}) = ${mine}`
          : sql`lower(${theirs}) = lower(${mine})`;
    return sql`
      select c.n, ${sql.lit(name)} as attribute, u.login
      from candidates c join users u on ${same} and u.id is distinct from c.id`;
  });
  const { rows } = await sql<Taken>`
    with candidates as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(input)}::jsonb) as c(n int, id text, profile jsonb))
    ${sql.join(perAttribute, sql` union all `)}`.execute(db);
  return rows;
}

function duplicate(attribute: Attribute, candidate: Candidate | undefined, holder: string): Refusal {
  const who = String(candidate?.profile["login"] ?? "this person");
  const refused =
    attribute.name === "login"
      ? `login: ${holder} exists already; update that person, or choose another login`
      : `${attribute.name} of ${who}: ${holder} has this value already; give each their own`;
  return { refused, code: "duplicate", place: attribute.name };
}
