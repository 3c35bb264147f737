/**
 * Explain: why an account is as it is. From the account's value back through the mapping to the user's attribute and the
 * source row it came from, from the assignment back through groups to the rule or person that gave them, and the last
 * operations with the chain of events that caused them.
 */
import type { AccountGrant } from "../core/desired.ts";
import { sameValue } from "../core/diff.ts";
import type { Attribute, FaultKind, Have, Profile, Refusal, Value, Want } from "../core/types.ts";
import { appByIdOrLabel } from "../directory/apps.ts";
import { loadMappings } from "../directory/mappings.ts";
import { getUser, type StoredUser } from "../directory/userQueries.ts";
import { type Database, sql } from "../store/database.ts";
import type { Actor, Target } from "../store/tables.ts";
import { type ExplainedSource, explainSource } from "./explainSource.ts";
import { countingRow } from "./importDates.ts";
import { type Origin, originsOf } from "./origins.ts";
import { nameReasons, type Reason } from "./reasons.ts";
import type { World } from "./world.ts";

/** One attribute of the account. */
export type ExplainedAttribute = Readonly<{
  attribute: string;
  want: Value;
  have: Value;
  in_step: boolean;
  /** `assignment`: given with a grant; `mapping`: by the expression; `kept`: create-only, as first assigned. */
  from: "assignment" | "mapping" | "kept" | "unmanaged";
  expression: string | null;
  reads: readonly Origin[];
}>;

export type ExplainedOperation = Readonly<{
  id: number;
  step: string;
  outcome: string;
  fault: FaultKind | null;
  detail: Readonly<Record<string, Value>>;
  finished_at: Date;
}>;

export type ExplainedEvent = Readonly<{
  seq: number;
  at: Date;
  type: string;
  actor: string;
  targets: readonly string[];
  reason: string | null;
  detail: Value;
}>;

export type Explanation = Readonly<{
  user: Readonly<{ id: string; login: string; status: string }>;
  app: Readonly<{ id: string; label: string }>;
  account: Readonly<{
    id: string;
    external_id: string | null;
    assigned: boolean;
    enabled_wanted: boolean | null;
    enabled: boolean | null;
    synced_at: Date | null;
    error: string | null;
  }> | null;
  why: readonly Reason[];
  attributes: readonly ExplainedAttribute[];
  /** Where the app is a source: what it has of the person, and who gave their values. */
  source: ExplainedSource | null;
  operations: readonly ExplainedOperation[];
  /** From the newest cause back to the first: the last operation's event is the head. */
  chain: readonly ExplainedEvent[];
}>;

type AccountRow = {
  id: string;
  external_id: string | null;
  assigned: boolean;
  want: Want | null;
  have: Have | null;
  grants: readonly AccountGrant[];
  synced_at: Date | null;
  error: string | null;
};

const operations_max = 10;
const chain_max = 20;

/** Explains a user's account in an app; with `attribute`, only that one. Ids, login and label are accepted. */
export async function explainAccount(
  { db, now }: Pick<World, "db" | "now">,
  user: string,
  app: string,
  attribute?: string,
): Promise<Explanation | Refusal> {
  const person = await getUser(db, user);
  if (person === undefined)
    return { refused: `there is no user ${user.slice(0, 200)}`, code: "not_found", place: "user" };
  const found = await appByIdOrLabel(db, app);
  if (found === undefined) return { refused: `there is no app ${app.slice(0, 200)}`, code: "not_found", place: "app" };
  const { rows } = await sql<AccountRow>`
    select id, external_id, assigned, want, have, grants, synced_at, error from accounts
    where app_id = ${found.id} and user_id = ${person.id}`.execute(db);
  const account = rows[0];
  const grants = account?.grants ?? [];
  const reasons = await nameReasons(db, grants);
  const attributes = account ? await explainAttributes(db, person, found.id, account, attribute) : [];
  const said = account?.have?.profile ?? null;
  const counts = said === null || found.sourcing === null ? said : countingRow(found.sourcing, said, now());
  const row = { external_id: account?.external_id ?? null, row: counts };
  const source = found.sourcing === null ? null : await explainSource(db, person, found.id, row, attribute);
  const known = attributes.length + (source?.attributes.length ?? 0) > 0;
  if (attribute !== undefined && (account !== undefined || source !== null) && !known) {
    return {
      refused: `${found.label} has no attribute ${attribute.slice(0, 100)}`,
      code: "not_found",
      place: "attribute",
    };
  }
  const operations = account ? await lastOperations(db, account.id) : [];
  return {
    user: { id: person.id, login: person.login, status: person.status },
    app: { id: found.id, label: found.label },
    account: account
      ? {
          id: account.id,
          external_id: account.external_id,
          assigned: account.assigned,
          enabled_wanted: account.want?.enabled ?? null,
          enabled: account.have?.enabled ?? null,
          synced_at: account.synced_at,
          error: account.error,
        }
      : null,
    why: grants.map(reasons),
    attributes,
    source,
    operations,
    chain: await causes(db, person.id, found.id),
  };
}

async function explainAttributes(
  db: Database,
  user: StoredUser,
  app_id: string,
  account: AccountRow,
  only: string | undefined,
): Promise<ExplainedAttribute[]> {
  const schema = await sql<{ attributes: readonly Attribute[] }>`
    select attributes from schemas where kind = 'app' and app_id = ${app_id}`.execute(db);
  const lines = (await loadMappings(db)).get(app_id)?.to_app ?? [];
  const given = await assignedValues(db, user.id, app_id, account.grants);
  const read = [...new Set(lines.flatMap((line) => line.reads?.user ?? []))];
  const origins = new Map((await originsOf(db, user, read)).map((origin) => [origin.attribute, origin]));
  const names = (schema.rows[0]?.attributes ?? []).filter((one) => only === undefined || one.name === only);
  return names.flatMap((attribute): ExplainedAttribute[] => {
    const { name } = attribute;
    const line = lines.find((each) => each.attribute === name);
    const want = account.want?.profile[name] ?? null;
    const have = account.have?.profile[name] ?? null;
    if (only === undefined && line === undefined && want === null && have === null) return [];
    const from = given.has(name)
      ? "assignment"
      : line === undefined
        ? "unmanaged"
        : line.line.push === "create"
          ? "kept"
          : "mapping";
    return [
      {
        attribute: name,
        want,
        have: attribute.readable ? have : "(never told by the app)",
        in_step: !attribute.readable || want === null || sameValue(want, have, attribute),
        from,
        expression: line?.line.expression ?? null,
        reads: (line?.reads?.user ?? []).flatMap((name) => origins.get(name) ?? []),
      },
    ];
  });
}

/** Attributes whose value came with a grant. */
async function assignedValues(
  db: Database,
  user_id: string,
  app_id: string,
  grants: readonly AccountGrant[],
): Promise<ReadonlySet<string>> {
  const groups = grants.filter((grant) => grant.scope === "GROUP").map((grant) => grant.source_id);
  const { rows } = await sql<{ profile: Profile }>`
    select profile from group_assignments where app_id = ${app_id} and group_id = any(${groups}::text[])
    union all select profile from assignment_grants where app_id = ${app_id} and user_id = ${user_id}`.execute(db);
  return new Set(rows.flatMap((row) => Object.keys(row.profile).filter((name) => row.profile[name] !== null)));
}

async function lastOperations(db: Database, account_id: string): Promise<readonly ExplainedOperation[]> {
  const { rows } = await sql<ExplainedOperation>`
    select id, step, outcome, fault, detail, finished_at from operations
    where account_id = ${account_id} order by id desc limit ${operations_max}`.execute(db);
  return rows;
}

/** The newest event of this user and app, and what caused it, and what caused that, to the beginning. */
async function causes(db: Database, user_id: string, app_id: string): Promise<readonly ExplainedEvent[]> {
  const { rows } = await sql<{
    seq: number;
    published_at: Date;
    type: string;
    actor: Actor;
    targets: readonly Target[];
    reason: string | null;
    detail: Value;
  }>`
    with recursive chain as (
      (select e.*, 1 as depth from events e where e.user_id = ${user_id} and e.app_id = ${app_id} order by e.seq desc limit 1)
      union all
      select e.*, c.depth + 1 from chain c join events e on e.seq = c.cause where c.depth < ${chain_max}
    )
    select seq, published_at, type, actor, targets, reason, detail from chain order by depth`.execute(db);
  return rows.map((row) => ({
    seq: Number(row.seq),
    at: row.published_at,
    type: row.type,
    actor: row.actor.name,
    targets: row.targets.map((target) => target.name),
    reason: row.reason,
    detail: row.detail,
  }));
}
