/**
 * What changed mappings would do to every account, before they are kept: counts by app and step, the first accounts by
 * name, samples attribute by attribute. The same pure functions decide as do it later; nothing is written or called.
 *
 * Saving a mapping computes again who has an account now, and an account is worked on when its want moves. So here: page
 * by page of the app's assigned accounts, the want after the change beside the want there is, and where they differ, the
 * step from have to the new want. Usually a line reads attributes of the user, and then only these are loaded and only
 * the changed lines asked; where lines read groups, people or other accounts, or an assignment gives a value of a
 * changed attribute, the person's facts are loaded as desire loads them.
 *
 * Laws: a preview of a company at rest is what desire and plan then do (tested); memory is that of some pages; whoever
 * stops asking for pages has cancelled it. Whoever asks rests between two pages (setImmediate), so that others are served
 * and the database works on the next page meanwhile: 50,000 → 71,000 accounts/s.
 */
import { type AppFacts, desiredAccounts } from "../core/desired.ts";
import { sameValue } from "../core/diff.ts";
import type { Facts } from "../core/expression/expression.ts";
import { type PlanApp, plan } from "../core/plan.ts";
import { remapProfile } from "../core/remap.ts";
import type { MappingLine, Profile, Refusal, Value, Want } from "../core/types.ts";
import { type App, appByIdOrLabel } from "../directory/apps.ts";
import {
  type LoadedLine,
  loadMappings,
  type MappingRefusal,
  type PlannedMapping,
  planMapping,
} from "../directory/mappings.ts";
import { isRefusal, sql } from "../store/database.ts";
import { type Company, loadCompany } from "./company.ts";
import { loadPeople } from "./people.ts";
import { type AccountRow, type Before, type Reads, readAccounts, readsOf } from "./previewPages.ts";
import { type AccountChange, type AppPreview, newTally, type Tally } from "./previewTally.ts";
import { planAppOf, type World } from "./world.ts";

/** An app (id or label) and all lines of its mapping from users as they would be. */
export type MappingEdit = Readonly<{
  app: string;
  lines: Readonly<Record<string, Readonly<Partial<MappingLine>>>>;
}>;

/** A judged edit, ready to be previewed. */
export type MappingPlan = Readonly<{ company: Company; apps: readonly PlannedApp[] }>;

type PlannedApp = Readonly<{
  app: App;
  mapping: PlannedMapping;
  /** The app with the new lines; undefined: nothing is computed for it, because it is switched off or its licence is over. */
  facts: AppFacts<Facts> | undefined;
  /** What plan needs of the app; null: its accounts are kept here only. A text: why it cannot be opened. */
  target: PlanApp | string | null;
  /** null: a line reads more than the user's attributes. */
  reads: Reads | null;
  lists: readonly string[];
  accounts: number;
  read_by: readonly string[];
}>;

/** After each page: how far it is, and what would change of the page's accounts. */
export type PreviewPage = Readonly<{ looked: number; accounts: number; changes: readonly AccountChange[] }>;

/** `first`: how many accounts of each app are told by name. */
export type PreviewOptions = Readonly<{ first?: number; page?: number }>;

const first_standard = 20;
/** Accounts of a page: some 10 ms of this process, so that whoever else it serves does not wait for long. */
const page_standard = 1_000;

/** Judges edits as saving them would, and reads what the preview needs of the company. Refuses what saving would refuse. */
export async function planMappings(
  world: World,
  edits: readonly MappingEdit[],
): Promise<MappingPlan | MappingRefusal | Refusal> {
  const company = await loadCompany(world.db, world.now());
  const apps: PlannedApp[] = [];
  for (const edit of edits) {
    const app = await appByIdOrLabel(world.db, edit.app);
    if (app === undefined)
      return { refused: `there is no app ${edit.app.slice(0, 200)}`, code: "not_found", place: "app" };
    if (apps.some((one) => one.app.id === app.id))
      return { refused: `${app.label} is in the plan twice: give its lines together`, code: "duplicate", place: "app" };
    const mapping = await planMapping(world.db, app.id, edit.lines);
    if (isRefusal(mapping)) return mapping;
    apps.push(await plannedApp(world, company, app, mapping));
  }
  return { company, apps };
}

async function plannedApp(world: World, company: Company, app: App, mapping: PlannedMapping): Promise<PlannedApp> {
  const known = company.apps.find((one) => one.id === app.id);
  const facts = known?.active && !known.expired ? { ...known, lines: mapping.lines } : undefined;
  const { rows } = await sql<{ accounts: number; valued: readonly string[] }>`
    select (select count(*)::int from accounts where app_id = ${app.id} and assigned) as accounts,
      coalesce((select array_agg(distinct name) from (
        select jsonb_object_keys(profile) as name from group_assignments where app_id = ${app.id}
        union select jsonb_object_keys(profile) from assignment_grants where app_id = ${app.id} and profile <> '{}') v), '{}') as valued
    `.execute(world.db);
  const { accounts = 0, valued = [] } = rows[0] ?? {};
  const touched = [...mapping.removed, ...mapping.changed.map((line) => line.attribute)];
  const assigned = touched.some((name) => valued.includes(name));
  const target = company.external.has(app.id) ? await targetOf(world, app.id) : null;
  return {
    ...{ app, mapping, facts, target, accounts },
    lists: (known?.attributes ?? []).filter((one) => one.array || one.type === "object").map((one) => one.name),
    reads: assigned ? null : readsOf(mapping),
    read_by: await readersOf(world, company, app),
  };
}

async function targetOf(world: World, app_id: string): Promise<PlanApp | string> {
  try {
    return planAppOf(await world.app(app_id));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Labels of the other apps whose mappings read accounts of this one: they follow when its accounts have changed. */
async function readersOf(world: World, company: Company, app: App): Promise<readonly string[]> {
  const reads = (line: LoadedLine) =>
    Object.hasOwn(line.reads?.accounts ?? {}, app.name) ||
    Object.keys(line.reads?.directories ?? {}).some((kind) => company.directories(kind).includes(app.id));
  return [...(await loadMappings(world.db))]
    .filter(([id, { to_app }]) => id !== app.id && to_app.some(reads))
    .map(([id]) => company.labels.get(id) ?? id);
}

type Counted = Readonly<{ planned: PlannedApp; tally: Tally }>;

/** Looks at every account the edits concern, a page at a time, and gives the whole at the end. */
export async function* previewMappings(
  world: World,
  { company, apps }: MappingPlan,
  options: PreviewOptions = {},
): AsyncGenerator<PreviewPage, readonly AppPreview[]> {
  const counted = apps.map((planned) => ({ planned, tally: tallyOf(planned, options.first ?? first_standard) }));
  const computed = counted.filter(({ planned }) => planned.facts !== undefined);
  const accounts = computed.reduce((sum, { planned }) => sum + planned.accounts, 0);
  // Read together, the apps' accounts are met side by side on the disk, and their people once: 25,000 → 60,000 a second.
  const together = computed.filter(({ planned }) => planned.reads !== null);
  const alone = computed.filter(({ planned }) => planned.reads === null).map((one) => [one]);
  let looked = 0;
  let page_before: PreviewPage | undefined;
  for (const some of [together, ...alone]) {
    if (some.length === 0) continue;
    const by_app = new Map(some.map((one) => [one.planned.app.id, one]));
    const reading = some.map(({ planned: { app, reads, lists } }) => ({ app_id: app.id, reads, lists }));
    for await (const page of readAccounts(world.db, reading, options.page ?? page_standard)) {
      // A page late: the next one has been asked for, and whoever takes this one lets the question leave.
      if (page_before !== undefined) yield page_before;
      const changes = await changesOf(world, company, by_app, page);
      looked += page.length;
      page_before = { looked, accounts, changes };
    }
  }
  if (page_before !== undefined) yield page_before;
  return counted.map(({ tally }) => tally.done());
}

function tallyOf({ app, accounts, facts, target, read_by }: PlannedApp, first: number): Tally {
  const tally = newTally(app, { accounts, first, read_by });
  if (facts === undefined)
    tally.note(`${app.label} is switched off or its licence is over: nothing changes until it is on`);
  else if (typeof target === "string") tally.note(`${app.label} cannot be called: ${target}`);
  return tally;
}

/** What the edits do to a page of accounts. */
async function changesOf(
  world: World,
  company: Company,
  apps: ReadonlyMap<string, Counted>,
  page: readonly AccountRow[],
): Promise<readonly AccountChange[]> {
  const wants = new Map<string, (row: AccountRow) => Wanted>();
  for (const [id, { planned }] of apps)
    wants.set(
      id,
      planned.reads === null
        ? await wantsByFacts(world, company, planned, page)
        : wantsByLines(world, company, planned),
    );
  const changes: AccountChange[] = [];
  for (const row of page) {
    const { planned, tally } = apps.get(row.app_id) as Counted;
    const { want, errors } = wants.get(row.app_id)?.(row) ?? nothing;
    tally.look(row, errors);
    if (want === null) continue;
    changes.push(tally.move(row, want, planned.target === null ? "local" : stepOf(planned.target, want, row)));
  }
  return changes;
}

/** `want`: null when it does not move. */
type Wanted = Readonly<{ want: Want | null; errors: readonly Readonly<{ attribute: string; message: string }>[] }>;

const nothing: Wanted = { want: null, errors: [] };

/** The changed lines over what they read; the rest of want is copied. */
function wantsByLines(world: World, company: Company, { app, mapping }: PlannedApp): (row: AccountRow) => Wanted {
  const same = {
    groups: [],
    org: company.org,
    app: company.properties.get(app.id) ?? null,
    app_named: (name: string) => company.properties.get(company.by_name.get(name) ?? "") ?? null,
    now: world.now(),
  };
  return (row) => {
    if (row.want === null) return nothing;
    const facts: Facts = {
      ...same,
      user: row.reads,
      user_id: row.user_id,
      user_status: row.status,
      time_zone: row.time_zone ?? company.time_zone,
    };
    const { profile, errors } = remapProfile(mapping, facts, row.want.profile);
    return { want: profile === null ? null : { ...row.want, profile }, errors };
  };
}

/** Everything about the page's people, decided as desire does. */
async function wantsByFacts(
  world: World,
  company: Company,
  { app, facts }: PlannedApp,
  page: readonly AccountRow[],
): Promise<(row: AccountRow) => Wanted> {
  const ids = page.map((row) => row.user_id);
  const people = await loadPeople(world.db, company, ids, world.now());
  return (row) => {
    const record = people.get(row.user_id);
    const [desired] = record === undefined || facts === undefined ? [] : desiredAccounts(record.person, [facts]);
    // Whoever is losing the app anyway does not lose it by the mapping.
    if (desired === undefined || !desired.assigned || desired.want === null || desired.app_id !== app.id)
      return nothing;
    return { want: sameWant(row.want, desired.want) ? null : desired.want, errors: desired.errors };
  };
}

function sameWant(a: Want | null, b: Want): boolean {
  return a !== null && a.enabled === b.enabled && a.create === b.create && sameProfile(a.profile, b.profile);
}

const sameProfile = (a: Profile, b: Profile) => sameValue(a as Value, b as Value);

function stepOf(target: PlanApp | string, want: Want, row: Before) {
  return typeof target === "string"
    ? ({ kind: "unsupported", missing: "being called" } as const)
    : plan(want, row.have(), target);
}
