/**
 * What is the same for everyone in a batch: the apps with their group assignments and compiled mappings, the rules in
 * their order, Everyone. Read again for every batch, so that no node decides by what it remembers; only compiled
 * expressions are kept, by their text.
 */
import type { AppFacts } from "../core/desired.ts";
import type { Dependencies, Facts, GroupFact } from "../core/expression/expression.ts";
import type { CompiledLine } from "../core/mapping.ts";
import type { ReadyRule } from "../core/rules.ts";
import type { Attribute, Profile, Value } from "../core/types.ts";
import { type LoadedLine, loadMappings } from "../directory/mappings.ts";
import { companyZone } from "../directory/organisation.ts";
import { keepsAccounts } from "../directory/provisioning.ts";
import { loadRules } from "../directory/rules.ts";
import { readSetting } from "../directory/settings.ts";
import { type Database, sql } from "../store/database.ts";
import type { Provisioning } from "../store/tables.ts";

export type Company = Readonly<{
  apps: readonly AppFacts<Facts>[];
  /** Apps whose accounts live outside: they are worked on; the others' accounts are only facts here. */
  external: ReadonlySet<string>;
  labels: ReadonlyMap<string, string>;
  by_name: ReadonlyMap<string, string>;
  /** `app.x` of expressions. */
  properties: ReadonlyMap<string, Profile>;
  /** Apps of a kind of directory, for `hasDirectoryUser()` and its like. */
  directories: (kind: string) => readonly string[];
  rules: readonly ReadyRule[];
  everyone: GroupFact;
  org: Profile;
  time_zone: string;
  /** A mapping or rule reads the manager or another person around the user. */
  reads_people: boolean;
  /** A mapping reads the account in another app: it must be computed again when that account changes. */
  reads_accounts: boolean;
  /** A mapping asks the clock. */
  reads_clock: boolean;
  /** A mapping reads the person's groups. */
  reads_groups: boolean;
}>;

type AppRow = {
  id: string;
  name: string;
  label: string;
  kind: string;
  status: string;
  provisioning: Provisioning;
  expired: boolean;
  attributes: readonly Attribute[];
  groups: readonly { group_id: string; priority: number; profile: Profile }[];
};

/** Reads the company as it is now. */
export async function loadCompany(db: Database, now: Date): Promise<Company> {
  const { rows } = await sql<AppRow>`
    select a.id, a.name, a.label, a.kind, a.status, a.provisioning,
      coalesce(a.licence_expires_at <= ${now}::timestamptz, false) as expired,
      coalesce(s.attributes, '[]') as attributes,
      coalesce((select jsonb_agg(jsonb_build_object('group_id', g.group_id, 'priority', g.priority, 'profile', g.profile)
                                 order by g.priority, g.group_id)
                from group_assignments g
                where g.app_id = a.id and (g.expires_at is null or g.expires_at > ${now}::timestamptz)), '[]') as groups
    from apps a left join schemas s on s.kind = 'app' and s.app_id = a.id
    order by a.id`.execute(db);
  const everyone = await loadEveryone(db);
  const mappings = await loadMappings(db);
  const rules = await loadRules(db);
  const org = await readSetting(db, "org");
  const lines = [...mappings.values()].flatMap(({ to_app }) => to_app);
  const reads = lines.flatMap((line) => (line.reads ? [line.reads] : []));
  return {
    apps: rows.map((row) => factsOf(row, mappings.get(row.id)?.to_app ?? [])),
    external: new Set(rows.filter((row) => keepsAccounts(row)).map((row) => row.id)),
    labels: new Map(rows.map((row) => [row.id, row.label])),
    by_name: new Map(rows.toReversed().map((row) => [row.name, row.id])),
    properties: new Map(rows.map((row) => [row.id, { id: row.id, name: row.name, label: row.label }])),
    directories: (kind) => rows.filter((row) => row.kind === kind || row.name === kind).map((row) => row.id),
    rules,
    everyone,
    org: isRecord(org) ? org : {},
    time_zone: companyZone(org),
    reads_people: rules.some((rule) => rule.people) || reads.some((read) => Object.keys(read.people).length > 0),
    reads_accounts: reads.some(readsAccounts),
    reads_clock: reads.some((read) => read.clock),
    reads_groups: reads.some((read) => read.groups !== null),
  };
}

const readsAccounts = (read: Dependencies) =>
  Object.keys(read.accounts).length > 0 || Object.keys(read.directories).length > 0;

const isRecord = (value: Value | undefined): value is Record<string, Value> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function factsOf(row: AppRow, lines: readonly LoadedLine[]): AppFacts<Facts> {
  return {
    id: row.id,
    active: row.status === "ACTIVE",
    expired: row.expired,
    on_unassign: row.provisioning.on_unassign,
    on_suspend: row.provisioning.on_suspend,
    create: row.provisioning.create,
    match_attribute: row.provisioning.match_attribute,
    attributes: row.attributes,
    groups: row.groups,
    lines,
  };
}

async function loadEveryone(db: Database): Promise<GroupFact> {
  const { rows } = await sql<{ id: string; profile: Profile }>`
    select id, profile from groups where type = 'BUILT_IN' order by id limit 1`.execute(db);
  const row = rows[0];
  if (row === undefined)
    throw new Error("the group Everyone is missing: start a node once, it makes what every installation has");
  return { id: row.id, name: "Everyone", type: "BUILT_IN", source_id: null, profile: row.profile };
}

/** The lines of a source's mapping to users, ready to run. */
export async function loadSourceLines(db: Database, app_id: string): Promise<readonly CompiledLine<Facts>[]> {
  return (await loadMappings(db)).get(app_id)?.to_user ?? [];
}
