/**
 * Mappings: for each app one from users to its accounts, and one back. A line says which expression gives an attribute,
 * when it is pushed, and what an empty result does. What is saved has been checked against the schemas of both sides.
 *
 * Laws: saving always takes effect, for everyone it concerns, as one wave (a preview comes before, not a choice after);
 * a line that no longer fits a changed schema gives an error for its attribute and leaves the account's value alone.
 *
 * Edited by the API and console; read by the engine (`loadMappings`) and by imports and previews.
 */
import { type Selectable, sql } from "kysely";
import { sameValue } from "../core/diff.ts";
import {
  type Checked,
  checkExpression,
  type Dependencies,
  type Environment,
  type Facts,
  type Problem,
  type Shape,
} from "../core/expression/expression.ts";
import { nearest } from "../core/expression/suggest.ts";
import type { CompiledLine } from "../core/mapping.ts";
import type { Attribute, MappingLine, MappingLines, Refusal, Value } from "../core/types.ts";
import { type Database, json } from "../store/database.ts";
import type { MappingRow } from "../store/tables.ts";
import { type Command, log, priority, type Running, run } from "./command.ts";
import { rowsOf } from "./pages.ts";
import { markAssignedDirty } from "./reach.ts";
import { judgeProfile, userSchema } from "./schemaQueries.ts";
import { closeTasksFor } from "./tasks.ts";

export type Mapping = Selectable<MappingRow>;
export type Direction = Mapping["direction"];

/** What is wrong with one line; `line` and `column` count from 1 within the expression. */
export type LineProblem = Problem & Readonly<{ attribute: string }>;

/** A refused edit, with every problem of every line. `place` is the first one's attribute. */
export type MappingRefusal = Refusal & Readonly<{ problems: readonly LineProblem[] }>;

/** Attribute → line, or null to take its line away. What a line leaves out stays, or is the default. */
export type MappingChange = Readonly<Record<string, Readonly<Partial<MappingLine>> | null>>;

const lines_max = 500;

/** Changes some lines of a mapping; the others stay. */
export function editMapping(
  command: Command,
  mapping_id: string,
  change: MappingChange,
): Promise<Mapping | MappingRefusal | Refusal> {
  return run<Mapping>(command, async (running) => {
    const before = await lockMapping(running, mapping_id);
    if (before === undefined) return { refused: `there is no mapping ${mapping_id.slice(0, 100)}`, code: "not_found" };
    const lines = merge(before.lines, change);
    return (await judgeRemoval(running.db, before, lines)) ?? save(running, before, lines);
  });
}

/** Replaces all lines of an app's mapping in one direction. */
export function putMapping(
  command: Command,
  app_id: string,
  direction: Direction,
  lines: Readonly<Record<string, Readonly<Partial<MappingLine>>>>,
): Promise<Mapping | MappingRefusal | Refusal> {
  return run<Mapping>(command, async (running) => {
    const found = await mappingOf(running.db, app_id, direction);
    const before = found && (await lockMapping(running, found.id));
    if (before === undefined) return unmapped(running.db, app_id);
    const merged = merge({}, lines);
    return (await judgeRemoval(running.db, before, merged)) ?? save(running, before, merged);
  });
}

async function unmapped(db: Database, app_id: string): Promise<Refusal> {
  const { rows } = await sql<{ label: string }>`select label from apps where id = ${app_id}`.execute(db);
  const label = rows[0]?.label;
  if (label === undefined) return { refused: `there is no app ${app_id.slice(0, 100)}`, code: "not_found" };
  return {
    refused: `${label} has no mapping: an app gets one when it is connected, and manual ones have none`,
    code: "not_found",
  };
}

/** A line may not be taken away without which no account could be made. What a person lacks, the import says. */
async function judgeRemoval(db: Database, before: Mapping, lines: MappingLines): Promise<Refusal | undefined> {
  const gone = Object.keys(before.lines).filter((name) => !Object.hasOwn(lines, name));
  if (gone.length === 0 || before.direction === "to_user") return undefined;
  const { targets } = await environmentFor(db, before.app_id, before.direction);
  const missing = targets.find(({ name, required }) => required && gone.includes(name));
  if (missing === undefined) return undefined;
  const { rows } = await sql<{ label: string }>`select label from apps where id = ${before.app_id}`.execute(db);
  return {
    refused: `${rows[0]?.label} requires ${missing.name}: give its line another expression instead of taking it away`,
    code: "invalid",
    place: missing.name,
  };
}

function merge(before: MappingLines, change: MappingChange): MappingLines {
  const merged = new Map(Object.entries(before));
  for (const [attribute, line] of Object.entries(change)) {
    if (line === null) {
      merged.delete(attribute);
      continue;
    }
    const { expression, push, when_empty, default: fallback } = { ...empty_line, ...merged.get(attribute), ...line };
    merged.set(attribute, { expression, push, when_empty, ...(fallback === undefined ? {} : { default: fallback }) });
  }
  return Object.fromEntries(merged);
}

const empty_line: MappingLine = { expression: "", push: "always", when_empty: "clear" };

async function save(running: Running, before: Mapping, lines: MappingLines): Promise<Mapping | Refusal> {
  if (sameValue(lines as Value, before.lines as Value)) return before;
  const { moved, removed } = differences(before.lines, lines);
  const refused = await judgeChange(running.db, before, lines, moved);
  if (refused) return refused;
  const mapping = await running.db
    .updateTable("mappings")
    .set({ lines: json(lines), updated_at: running.now() })
    .where("id", "=", before.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  const names = [...Object.keys(moved), ...removed];
  const seq = await log(running, {
    type: "directory.mapping.update",
    app_id: mapping.app_id,
    targets: [{ id: mapping.id, type: "Mapping", name: mapping.direction }],
    detail: Object.fromEntries(
      names.map((name) => [name, { before: plain(before.lines[name]), after: plain(lines[name]) }]),
    ),
  });
  if (mapping.direction === "to_user") return mapping;
  await markAssignedDirty(running, mapping.app_id, priority.wave, seq);
  // A line that still fails raises its task again when the people just marked are computed.
  const failed = names.map((name) => mappingTask(mapping.app_id, name));
  await closeTasksFor(running, { dedupe: failed, note: "the line was changed" });
  return mapping;
}

/** The lines that are new or not what they were, and the attributes whose line is gone. */
function differences(before: MappingLines, after: MappingLines) {
  const moved = Object.entries(after).filter(([name, line]) => !sameValue(plain(line), plain(before[name])));
  return {
    moved: Object.fromEntries(moved),
    removed: Object.keys(before).filter((name) => !Object.hasOwn(after, name)),
  };
}

/** Only what is edited is judged: a line that another change broke must not block mending a different one. */
async function judgeChange(
  db: Database,
  { app_id, direction }: Mapping,
  lines: MappingLines,
  moved: MappingLines,
): Promise<MappingRefusal | Refusal | undefined> {
  const problems = await judgeLines(db, app_id, direction, moved);
  if (problems.length > 0) return refusalOf(problems);
  if (Object.keys(lines).length <= lines_max) return undefined;
  return { refused: `a mapping has at most ${lines_max} lines`, code: "too_large" };
}

/** A mapping from users to an app's accounts as it would be: all lines ready to run, and what differs from today. */
export type PlannedMapping = Readonly<{
  lines: readonly LoadedLine[];
  changed: readonly LoadedLine[];
  removed: readonly string[];
}>;

/** What `putMapping` would keep, refused where it would refuse. Nothing is kept. */
export async function planMapping(
  db: Database,
  app_id: string,
  lines: Readonly<Record<string, Readonly<Partial<MappingLine>>>>,
): Promise<PlannedMapping | MappingRefusal | Refusal> {
  const before = await mappingOf(db, app_id, "to_app");
  if (before === undefined) return unmapped(db, app_id);
  const after = merge({}, lines);
  const { moved, removed } = differences(before.lines, after);
  const refused = (await judgeRemoval(db, before, after)) ?? (await judgeChange(db, before, after, moved));
  if (refused) return refused;
  const ready = compileLines(after, await environmentFor(db, app_id, "to_app"));
  return { lines: ready, changed: ready.filter((line) => Object.hasOwn(moved, line.attribute)), removed };
}

/** The name under which a failing line is one task (`dedupe`), however many people it fails for. */
export const mappingTask = (app_id: string, attribute: string) => `mapping:${app_id}:${attribute}`;

const plain = (line: MappingLine | undefined): Value => (line === undefined ? null : { ...line });

/** Every problem of some lines of a mapping; none: they may be saved. Changes nothing. */
export async function judgeLines(
  db: Database,
  app_id: string,
  direction: Direction,
  lines: MappingLines,
): Promise<readonly LineProblem[]> {
  const { environment, targets } = await environmentFor(db, app_id, direction);
  return Object.entries(lines).flatMap(([attribute, line]) =>
    lineProblems(attribute, line, targets, environment).map((problem) => ({ attribute, ...problem })),
  );
}

function lineProblems(
  name: string,
  line: MappingLine,
  targets: readonly Attribute[],
  environment: Environment,
): readonly Problem[] {
  const at = { line: 1, column: 1 };
  const attribute = targets.find((one) => one.name === name);
  if (attribute === undefined) {
    const near = nearest(
      name,
      targets.map((one) => one.name),
    );
    const hint = near === null ? "Add it to the schema first." : `Did you mean ${near}?`;
    return [{ ...at, message: `There is no attribute ${name} to map to.`, hint }];
  }
  if (attribute.writable === "never")
    return [{ ...at, message: `${name} is decided by the app and cannot be written.` }];
  const checked = checkExpression(line.expression, environment);
  if ("problems" in checked) return checked.problems;
  return [...shapeProblems(attribute, checked.ok), ...policyProblems(attribute, line)].map((message) => ({
    ...at,
    message,
  }));
}

function shapeProblems(attribute: Attribute, { type }: Checked): string[] {
  if (type === "any" || type === "null") return [];
  const list = typeof type === "object";
  if (list && !attribute.array) return [`${attribute.name} holds one value, but this gives a list.`];
  if (!list && attribute.array)
    return [`${attribute.name} holds a list, but this gives one value: put it in braces, {…}.`];
  return [];
}

function policyProblems(attribute: Attribute, line: MappingLine): string[] {
  if (!["always", "create"].includes(line.push)) return ["push is always or create."];
  if (!["clear", "keep", "skip", "default"].includes(line.when_empty)) {
    return ["when_empty is clear, keep, skip or default."];
  }
  if (line.when_empty !== "default") return [];
  if (line.default === undefined || line.default === null) return ["when_empty is default, so give the default."];
  const judged = judgeProfile({ attributes: [attribute] }, { [attribute.name]: line.default }, { partial: true });
  return "refused" in judged ? [`The default does not fit: ${judged.refused}`] : [];
}

function refusalOf(problems: readonly LineProblem[]): MappingRefusal {
  const [first] = problems;
  const words = problems
    .slice(0, 5)
    .map(
      (one) =>
        `${one.attribute}, line ${one.line}, column ${one.column}: ${one.message}${one.hint ? ` ${one.hint}` : ""}`,
    );
  const more = problems.length > 5 ? ` (and ${problems.length - 5} more)` : "";
  return { refused: words.join("\n") + more, code: "invalid", place: first?.attribute ?? "", problems };
}

/** What the lines of a mapping may name, and which attributes they may fill. */
export type MappingEnvironment = Readonly<{ environment: Environment; targets: readonly Attribute[] }>;

/** The surroundings of one mapping, from today's schemas. */
export async function environmentFor(db: Database, app_id: string, direction: Direction): Promise<MappingEnvironment> {
  return surroundings(await loadSchemas(db), app_id, direction);
}

type AppSchema = Readonly<{ id: string; name: string; attributes: readonly Attribute[] }>;
type Schemas = Readonly<{
  user: readonly Attribute[];
  links: readonly string[];
  apps: ReadonlyMap<string, AppSchema>;
}>;

async function loadSchemas(db: Database): Promise<Schemas> {
  const { rows } = await sql<AppSchema>`
    select a.id, a.name, coalesce(s.attributes, '[]') as attributes
    from apps a left join schemas s on s.kind = 'app' and s.app_id = a.id order by a.id`.execute(db);
  const { attributes, links = [] } = await userSchema(db);
  return { user: attributes, links, apps: new Map(rows.map((row) => [row.id, row])) };
}

const texts = (names: readonly string[]): Shape => names.map((name) => ({ name, type: "string", array: false }));
/** What engine/company.ts tells of every app, and the texts of the setting "org". */
const app_properties = texts(["id", "name", "label"]);
const org_properties = texts(["name", "subdomain", "time_zone"]);

function surroundings(schemas: Schemas, app_id: string, direction: Direction): MappingEnvironment {
  const own = schemas.apps.get(app_id)?.attributes ?? [];
  // Okta's templates share one name among their apps: the oldest answers to it.
  const accounts = Object.fromEntries([...schemas.apps.values()].toReversed().map((app) => [app.name, app.attributes]));
  const environment: Environment = {
    context: "mapping",
    user: schemas.user,
    appuser: own,
    source: direction === "to_app" ? schemas.user : own,
    app: app_properties,
    org: org_properties,
    accounts,
    links: schemas.links,
    apps: Object.fromEntries(Object.keys(accounts).map((name) => [name, app_properties])),
  };
  return { environment, targets: direction === "to_app" ? own : schemas.user };
}

/** A line ready to run. `reads`: what it depends on; null: it no longer fits the schemas and gives an error. */
export type LoadedLine = CompiledLine<Facts> & Readonly<{ reads: Dependencies | null }>;

/** The compiled mappings of one app. */
export type LoadedMappings = Readonly<{ to_app: readonly LoadedLine[]; to_user: readonly LoadedLine[] }>;

/** What was compiled last, and the digest of everything it was compiled from, which alone decides it. */
let last: Readonly<{ digest: string; mappings: ReadonlyMap<string, LoadedMappings> }> | undefined;

/** Every app's mappings by app id, compiled; compiled again only when a mapping, a schema or an app's name has changed. */
export async function loadMappings(db: Database): Promise<ReadonlyMap<string, LoadedMappings>> {
  const { rows } = await sql<{ digest: string }>`
    select md5(concat(
      (select string_agg(concat_ws(' ', id, app_id, direction, lines), ' ' order by id) from mappings), '|',
      (select string_agg(concat_ws(' ', id, kind, app_id, attributes), ' ' order by id) from schemas), '|',
      (select string_agg(primary_name, ' ' order by primary_name) from linked_objects), '|',
      (select string_agg(concat_ws(' ', id, name), ' ' order by id) from apps))) as digest`.execute(db);
  const digest = rows[0]?.digest ?? "";
  if (last?.digest === digest) return last.mappings;
  const mappings = await compileAll(db);
  last = { digest, mappings };
  return mappings;
}

async function compileAll(db: Database): Promise<ReadonlyMap<string, LoadedMappings>> {
  const mappings = await db.selectFrom("mappings").select(["app_id", "direction", "lines"]).orderBy("id").execute();
  const schemas = await loadSchemas(db);
  const loaded = new Map<string, LoadedMappings>();
  for (const { app_id, direction, lines } of mappings) {
    const ready = compileLines(lines, surroundings(schemas, app_id, direction));
    loaded.set(app_id, { to_app: [], to_user: [], ...loaded.get(app_id), [direction]: ready });
  }
  return loaded;
}

function compileLines(lines: MappingLines, { environment, targets }: MappingEnvironment): readonly LoadedLine[] {
  return Object.entries(lines).map(([attribute, line]) => {
    const problems = lineProblems(attribute, line, targets, environment);
    const checked = checkExpression(line.expression, environment);
    if (problems.length > 0 || "problems" in checked) {
      const [first] = problems;
      const error = `line ${first?.line}, column ${first?.column}: ${first?.message}${first?.hint ? ` ${first.hint}` : ""}`;
      return { attribute, line, reads: null, evaluate: () => ({ error }) };
    }
    const { evaluate } = checked.ok.compile();
    const reads = checked.ok.dependencies;
    // Okta's older name for the side that a mapping starts from: here the user.
    const from_user = environment.source === environment.user && reads.source.length > 0;
    return {
      attribute,
      line,
      reads,
      evaluate: from_user ? (facts) => evaluate({ ...facts, source: facts.user }) : evaluate,
    };
  });
}

/** Lines of all apps that no longer fit the schemas: an attribute they read or fill was removed. */
export async function brokenLines(
  db: Database,
): Promise<readonly (LineProblem & { app_id: string; direction: Direction })[]> {
  const mappings = await db.selectFrom("mappings").select(["app_id", "direction", "lines"]).orderBy("id").execute();
  const schemas = await loadSchemas(db);
  return mappings.flatMap(({ app_id, direction, lines }) => {
    const { environment, targets } = surroundings(schemas, app_id, direction);
    return Object.entries(lines).flatMap(([attribute, line]) =>
      lineProblems(attribute, line, targets, environment).map((problem) => ({
        app_id,
        direction,
        attribute,
        ...problem,
      })),
    );
  });
}

/** A mapping by id. */
export async function readMapping(db: Database, id: string): Promise<Mapping | undefined> {
  return db.selectFrom("mappings").selectAll().where("id", "=", id).executeTakeFirst();
}

/** An app's mapping in one direction. */
export async function mappingOf(db: Database, app_id: string, direction: Direction): Promise<Mapping | undefined> {
  return db
    .selectFrom("mappings")
    .selectAll()
    .where("app_id", "=", app_id)
    .where("direction", "=", direction)
    .executeTakeFirst();
}

/** A page of mappings in order of ids. */
export function listMappings(
  db: Database,
  filter: Readonly<{ app_id?: string; direction?: Direction; after?: string; limit?: number }> = {},
): Promise<Mapping[]> {
  const { app_id, direction } = filter;
  return db
    .selectFrom("mappings")
    .selectAll()
    .where("id", ">", filter.after ?? "")
    .$if(app_id !== undefined, (query) => query.where("app_id", "=", app_id ?? ""))
    .$if(direction !== undefined, (query) => query.where("direction", "=", direction ?? "to_app"))
    .orderBy("id")
    .limit(rowsOf(filter.limit))
    .execute();
}

async function lockMapping(running: Running, id: string): Promise<Mapping | undefined> {
  return running.db.selectFrom("mappings").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
}
