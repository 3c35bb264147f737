/**
 * Reading accounts: of an app, of a person, now or as they were on a past day, and what apps hold that is nobody's.
 * Only queries, but for the word that an orphan is to be left alone.
 *
 * Law: Okta's status and sync state are derived at the moment of reading (core/status.ts). An assignment shows at once,
 * before the engine has made a row for it, and an ended one stops showing as assigned at once.
 *
 * Called by the API for app users, and by the console's lists.
 */
import { type RawBuilder, sql } from "kysely";
import { type AccountStatus, accountStatus, accountSyncState, type SyncState } from "../core/status.ts";
import type { FaultKind, GrantKind, Have, Profile, Refusal, UserStatus, Want } from "../core/types.ts";
import type { Database } from "../store/database.ts";
import type { AccountGrant, Provisioning } from "../store/tables.ts";
import { type Command, log, run } from "./command.ts";
import { rowsOf } from "./pages.ts";
import { keepsAccounts } from "./provisioning.ts";

/** One person's account in one app, with its two derived states. `id` null: the engine has not yet made the row. */
export type AccountView = Readonly<{
  id: string | null;
  app_id: string;
  app_label: string;
  app_name: string;
  user_id: string;
  login: string;
  user_status: UserStatus;
  status: AccountStatus;
  sync_state: SyncState;
  /** Someone or some group gives the app to this person now. */
  assigned: boolean;
  /** USER when the person has a grant of their own; null when not assigned. `group_id`: the first granting group. */
  scope: "USER" | "GROUP" | null;
  group_id: string | null;
  external_id: string | null;
  /** What it should be or, when nothing is wanted, was last seen to be. */
  profile: Profile;
  want: Want | null;
  have: Have | null;
  grants: readonly AccountGrant[];
  pending: "create" | "update" | "remove" | null;
  fault: FaultKind | null;
  fault_detail: string | null;
  fault_attribute: string | null;
  attempts: number;
  due_at: Date | null;
  created_at: Date;
  updated_at: Date;
  assigned_at: Date | null;
  released_at: Date | null;
  synced_at: Date | null;
}>;

/** Which accounts: `which` assigned (the default: assigned ones, and those whose removal waits for a person) or all. */
export type AccountFilter = Readonly<{
  app_id?: string;
  user_id?: string;
  which?: "assigned" | "all";
  /** Only those whose last operation failed: with this fault, or with any. */
  fault?: FaultKind | "any";
  /** The beginning of a login, first or last name, without case. */
  q?: string;
  /** The last one of the page before: its user id in a list of an app, its app id in a list of a person. */
  after?: string;
  limit?: number;
}>;

/** A page of accounts of an app in order of user ids, or of a person in order of app ids; one of the two is given. */
export async function listAccounts(db: Database, filter: AccountFilter, now: Date): Promise<AccountView[]> {
  const { app_id, user_id, fault, q, after = "" } = filter;
  const by = app_id === undefined ? sql.ref("app_id") : sql.ref("user_id");
  const own = sql`
    ${app_id === undefined ? sql`true` : sql`k.app_id = ${app_id}`}
    and ${user_id === undefined ? sql`true` : sql`k.user_id = ${user_id}`} and k.${by} > ${after}`;
  const all = filter.which === "all" || fault !== undefined;
  const shown = all ? sql`` : sql`and (k.assigned or k.pending = 'remove')`;
  const faulty =
    fault === undefined
      ? sql``
      : sql`and exists (
    select from work w where w.account_id = k.id and ${fault === "any" ? sql`w.fault is not null` : sql`w.fault = ${fault}`})`;
  const limit = rowsOf(filter.limit);
  // Each side gives no more than the page needs, by its index; but a search has to see them all.
  const first = q === undefined ? sql`order by k.${by} limit ${limit}` : sql``;
  const granted =
    fault === undefined
      ? sql`union (select distinct k.app_id, k.user_id from assignment_grants k where ${own} ${first})`
      : sql``;
  const named =
    q === undefined
      ? sql``
      : sql`
    join users named on named.id = keys.user_id and (starts_with(named.login, lower(${q}))
      or starts_with(lower(named.profile->>'firstName'), lower(${q}))
      or starts_with(lower(named.profile->>'lastName'), lower(${q})))`;
  return views(
    db,
    sql`select keys.app_id, keys.user_id from (
          (select k.app_id, k.user_id from accounts k where ${own} ${shown} ${faulty} ${first}) ${granted}) as keys ${named}
        order by keys.${by} limit ${limit}`,
    now,
  );
}

/** One person's account in one app; undefined when there is neither an account nor an assignment. */
export async function accountOf(
  db: Database,
  app_id: string,
  user_id: string,
  now: Date,
): Promise<AccountView | undefined> {
  const [account] = await listAccounts(db, { app_id, user_id, which: "all", limit: 1 }, now);
  return account;
}

/** An account by its own id. */
export async function accountById(db: Database, id: string, now: Date): Promise<AccountView | undefined> {
  const [account] = await views(db, sql`select app_id, user_id from accounts where id = ${id}`, now);
  return account;
}

type Row = Omit<AccountView, "status" | "sync_state" | "assigned" | "scope" | "group_id" | "profile"> &
  Readonly<{
    was_assigned: boolean | null;
    own: readonly { kind: GrantKind; profile: Profile }[] | null;
    marked: boolean;
    claimed: boolean;
    app_kind: string;
    provisioning: Provisioning;
  }>;

/** `keys`: SQL that gives (app_id, user_id) in the order wanted. */
async function views(db: Database, keys: RawBuilder<unknown>, now: Date): Promise<AccountView[]> {
  const { rows } = await sql<Row>`
    with keys as materialized (select row_number() over () as n, k.* from (${keys}) as k)
    select a.id, k.app_id, p.label as app_label, p.name as app_name, p.kind as app_kind, p.provisioning, k.user_id, u.login,
      u.status as user_status, a.assigned as was_assigned, a.external_id, a.want, a.have, coalesce(a.grants, '[]') as grants,
      a.pending, w.fault, w.fault_detail, w.fault_attribute, coalesce(w.attempts, 0) as attempts, w.due_at,
      coalesce(w.claimed_until > ${now}::timestamptz, false) as claimed,
      d.user_id is not null as marked, own.grants as own, coalesce(a.created_at, own.since) as created_at,
      coalesce(a.updated_at, own.since) as updated_at, a.assigned_at, a.released_at, a.synced_at
    from keys k join users u on u.id = k.user_id join apps p on p.id = k.app_id
      left join accounts a on a.app_id = k.app_id and a.user_id = k.user_id
      left join work w on w.account_id = a.id
      left join dirty d on d.user_id = k.user_id
      left join lateral (
        select jsonb_agg(jsonb_build_object('kind', g.kind, 'profile', g.profile) order by g.id) as grants,
               min(g.created_at) as since
        from assignment_grants g where g.app_id = k.app_id and g.user_id = k.user_id
          and (g.expires_at is null or g.expires_at > ${now}::timestamptz)) own on true
    order by k.n`.execute(db);
  return rows.map(viewOf);
}

function viewOf(row: Row): AccountView {
  const { was_assigned, own, marked, claimed, app_kind, provisioning, ...rest } = row;
  const group = row.grants.find((grant) => grant.scope === "GROUP");
  // Own grants are read as they are now; groups as the engine last computed them.
  const scope = own !== null ? "USER" : was_assigned && group ? "GROUP" : null;
  const values = Object.assign({}, ...(own ?? []).map((grant) => grant.profile)) as Profile;
  const facts = {
    want: wantOf(row, scope !== null),
    have: row.have,
    external_id: row.external_id,
    pending: row.pending === "update" ? null : row.pending,
    fault: row.fault,
    due: marked || row.due_at !== null,
    claimed,
    provisioning: keepsAccounts({ kind: app_kind, provisioning }),
    assigned: scope !== null,
    imported: own?.some((grant) => grant.kind === "import") ? ("confirmed" as const) : null,
  };
  return {
    ...rest,
    status: accountStatus(facts),
    sync_state: accountSyncState(facts),
    assigned: scope !== null,
    scope,
    group_id: scope === "GROUP" ? (group?.source_id ?? null) : null,
    profile: shownProfile(row, values, marked),
  };
}

/** What is wanted, or there; values given since it was computed are in it already, as they will be. */
function shownProfile({ want, have }: Row, values: Profile, marked: boolean): Profile {
  const computed = want?.profile ?? have?.profile;
  return computed === undefined || !marked ? (computed ?? values) : { ...computed, ...values };
}

/** What is wanted, as far as it is not overtaken by an assignment that began or ended since it was computed. */
function wantOf(row: Row, assigned: boolean): Want | null {
  if (row.want === null || row.released_at !== null) return null;
  if (assigned === (row.was_assigned ?? false)) return row.want;
  return assigned ? null : { ...row.want, enabled: false };
}

/** An account as its row was at a past moment. `source`: the app is a source of people now; of such a one it is a row. */
export type PastAccount = Readonly<{
  id: string;
  app_id: string;
  app_label: string | null;
  source: boolean;
  user_id: string;
  login: string | null;
  assigned: boolean;
  external_id: string | null;
  want: Want | null;
  have: Have | null;
  grants: readonly AccountGrant[];
  valid_from: Date;
  valid_to: Date | null;
}>;

/**
 * Who had what at a moment: accounts of an app, of a person, or of both, as they then were. Deleted ones too. `had`: those
 * alone that were wanted or there.
 */
export async function accountsAsOf(
  db: Database,
  filter: Readonly<{ app_id?: string; user_id?: string; had?: boolean; after?: string; limit?: number }>,
  at: Date,
): Promise<PastAccount[]> {
  const { rows } = await sql<PastAccount>`
    select a.id, a.app_id, p.label as app_label, p.sourcing is not null as source, a.user_id, u.login, a.assigned,
           a.external_id, a.want, a.have, a.grants, a.valid_from, a.valid_to
    from accounts_periods a left join apps p on p.id = a.app_id left join users u on u.id = a.user_id
    where a.valid_from <= ${at}::timestamptz and (a.valid_to is null or a.valid_to > ${at}::timestamptz)
      ${filter.app_id === undefined ? sql`` : sql`and a.app_id = ${filter.app_id}`}
      ${filter.user_id === undefined ? sql`` : sql`and a.user_id = ${filter.user_id}`}
      ${filter.had ? sql`and (a.assigned or a.have is not null)` : sql``}
      and a.id > ${filter.after ?? ""}
    order by a.id limit ${rowsOf(filter.limit)}`.execute(db);
  return rows;
}

/**
 * What an app holds and nobody manages. `released`: it was someone's, and the app keeps it after the assignment ended;
 * `found`: a reconcile saw it and it is nobody's. `decision` ignore: an administrator has said to leave it.
 */
export type Orphan = Readonly<{
  kind: "released" | "found";
  app_id: string;
  app_label: string;
  external_id: string;
  profile: Profile;
  enabled: boolean;
  user_id: string | null;
  login: string | null;
  decision: "ignore" | null;
  since: Date;
}>;

/** A page of orphans in order of app and external id. */
export async function listOrphans(
  db: Database,
  filter: Readonly<{ app_id?: string; ignored?: boolean; after?: string; limit?: number }> = {},
): Promise<Orphan[]> {
  const { rows } = await sql<Orphan>`
    select o.*, p.label as app_label, u.login from (
      select 'released' as kind, app_id, coalesce(external_id, id) as external_id, coalesce(have->'profile', '{}') as profile,
             coalesce((have->>'enabled')::boolean, false) as enabled, user_id, null::text as decision, released_at as since
      from accounts where released_at is not null and have is not null
      union all
      select 'found', app_id, external_id, profile, enabled, null, decision, seen_at from orphans
    ) o join apps p on p.id = o.app_id left join users u on u.id = o.user_id
    where o.app_id || ' ' || o.external_id > ${filter.after ?? ""}
      ${filter.app_id === undefined ? sql`` : sql`and o.app_id = ${filter.app_id}`}
      ${filter.ignored ? sql`` : sql`and o.decision is null`}
    order by o.app_id || ' ' || o.external_id limit ${rowsOf(filter.limit)}`.execute(db);
  return rows;
}

/** The place of an orphan in the list, for `after`. */
export const orphanCursor = (orphan: Pick<Orphan, "app_id" | "external_id">) =>
  `${orphan.app_id} ${orphan.external_id}`;

/** Says that found orphans are to be left alone (`ignore`), or takes that back (null). Gives how many it applied to. */
export function decideOrphans(
  command: Command,
  app_id: string,
  external_ids: readonly string[],
  decision: "ignore" | null,
): Promise<number | Refusal> {
  return run<number>(command, async (running) => {
    const { rows } = await sql<{ external_id: string }>`
      update orphans set decision = ${decision}
      where app_id = ${app_id} and external_id = any(${[...external_ids]}::text[]) and decision is distinct from ${decision}
      returning external_id`.execute(running.db);
    if (rows.length === 0) return 0;
    await log(running, {
      type: "application.orphan.decide",
      app_id,
      detail: { decision, external_ids: rows.map((row) => row.external_id) },
    });
    return rows.length;
  });
}
