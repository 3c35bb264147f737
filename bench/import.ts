/**
 * How fast people come in: an HR file of N rows and 15 columns beside the state, through the real CSV connector, with a
 * mapping of fourteen lines and five active rules. The first import creates everyone; the second finds the same file; in
 * the third 1 % of the rows are changed and 0.5 % are gone. Between them the engine answers what they marked.
 *
 * The ceiling is the least that a database can do with the same file: COPY into an unlogged table, and one insert-select
 * into a plain table with the columns as jsonb, a primary key and a unique login.
 */
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { columns } from "../demo/hrFile.ts";
import { adoptAppSchema, createApp } from "../src/directory/apps.ts";
import { createGroups } from "../src/directory/groups.ts";
import { putMapping } from "../src/directory/mappings.ts";
import { activateRule, createRule } from "../src/directory/rules.ts";
import { type ImportSummary, startImport } from "../src/engine/import.ts";
import { checkConfig } from "../src/main/appTools.ts";
import { realWorld } from "../src/main/world.ts";
import { type Database, sql } from "../src/store/database.ts";
import { system } from "../src/store/log.ts";
import type { Bench } from "./frame/bench.ts";
import { benchKey, commandOf, must, startNode, untilDone } from "./frame/engine.ts";
import { type Ground, serverAtRest } from "./frame/ground.ts";
import { type Metered, measure, together } from "./frame/meter.ts";
import { csvFile } from "./frame/people.ts";
import { median, spread } from "./frame/stats.ts";

/** A million is measured once: it says as much as three times a hundred thousand. */
const repeated_max = 200_000;

const mapping = {
  ...Object.fromEntries(
    ["login", "email", "firstName", "lastName", "department", "division", "city", "userType", "employeeNumber"].map(
      (name) => [name, { expression: `appuser.${name}` }],
    ),
  ),
  displayName: { expression: 'appuser.firstName + " " + appuser.lastName' },
  title: { expression: 'appuser.title == null ? "Employee" : appuser.title' },
  costCenter: { expression: 'String.append("CC-", appuser.costCenter)' },
  countryCode: { expression: "String.toUpperCase(appuser.countryCode)" },
  managerId: { expression: "appuser.managerEmployeeNumber" },
};

const rules: Readonly<Record<string, string>> = {
  Engineering: 'user.department == "Engineering"',
  "Sales Germany": 'user.department == "Sales" AND user.countryCode == "DE"',
  Contractors: 'user.userType == "contractor"',
  Managers: 'String.stringContains(user.title, "Manager")',
  Italy: 'user.countryCode == "IT"',
};

type Once = Readonly<{
  ceiling_s: number;
  first: Metered<ImportSummary>;
  unchanged: Metered<ImportSummary>;
  changed: Metered<ImportSummary>;
  settled_s: number;
  dirty_when_unchanged: number;
}>;

export const bench: Bench = {
  name: "import",
  about: "people of an HR file: first, unchanged, and with 1 % changed and 0.5 % gone",
  default_size: 1_000_000,
  run: async (ground, options) => {
    const { size, say } = options;
    // A node that has just started compiles; it runs for weeks. After 5,000 rows the first 100,000 still took a seventh longer
    // than the next, which counted as growth against the larger size alone.
    const tenth = Math.round(size / 10);
    await once(await ground.fresh(), tenth);
    const all: Once[] = [];
    for (let n = 0; n < (size > repeated_max ? 1 : options.runs); n++) {
      const one = await once(await ground.fresh(), size);
      all.push(one);
      say(
        `run ${n + 1}: first ${one.first.seconds.toFixed(1)} s, ceiling ${one.ceiling_s.toFixed(1)} s, unchanged ${one.unchanged.seconds.toFixed(1)} s, changed ${one.changed.seconds.toFixed(1)} s, settled ${one.settled_s.toFixed(1)} s`,
      );
    }
    const small: Once[] = [];
    for (let n = 0; options.scale && n < options.runs; n++) small.push(await once(await ground.fresh(), tenth));
    return { ...result(size, all), ...(options.scale ? growth(all, small) : {}) };
  },
};

function result(size: number, all: readonly Once[]) {
  const middle = (figure: (one: Once) => number) => median(all.map(figure));
  const first_s = middle((one) => one.first.seconds);
  const ceiling_s = middle((one) => one.ceiling_s);
  const cost = all.find((one) => one.first.seconds === first_s)?.first;
  return {
    size,
    seconds: first_s,
    rate: size / first_s,
    ceiling_rate: size / ceiling_s,
    ratio: middle((one) => one.ceiling_s / one.first.seconds),
    rss_peak_mb: together(all.flatMap((one) => [one.first, one.unchanged, one.changed])).rss_peak_mb,
    cpu_node_s: cost?.cpu_node_s ?? 0,
    cpu_postgres_s: cost?.cpu_postgres_s ?? null,
    first_s,
    unchanged_s: middle((one) => one.unchanged.seconds),
    changed_s: middle((one) => one.changed.seconds),
    ceiling_s,
    settled_s: middle((one) => one.settled_s),
    dirty_when_unchanged: Math.max(...all.map((one) => one.dirty_when_unchanged)),
    firsts: spread(all.map((one) => one.first.seconds)),
    ceilings: spread(all.map((one) => one.ceiling_s)),
  };
}

function growth(all: readonly Once[], small: readonly Once[]) {
  const times = (figure: (one: Once) => number) => median(all.map(figure)) / median(small.map(figure));
  return {
    tenth_s: median(small.map((one) => one.first.seconds)),
    growth: times((one) => one.first.seconds),
    growth_unchanged: times((one) => one.unchanged.seconds),
    growth_changed: times((one) => one.changed.seconds),
  };
}

/** One company's three imports, and the ceiling. */
async function once(ground: Ground, size: number): Promise<Once> {
  const name = `hr-${size}.csv`;
  const file = join(ground.folder, name);
  await csvFile(file, size);
  const ceiling_s = await ceiling(ground, file, size);
  const key = benchKey();
  const app_id = await source(ground, key, name);
  const world = realWorld(ground.db, key, { allow_private: true, folder: ground.folder });
  const run = async (): Promise<Metered<ImportSummary>> => {
    await serverAtRest(ground.db);
    return measure(ground, () => must(startImport(world, app_id, { mode: "full", actor: system })));
  };
  try {
    const first = await run();
    expectCounts(first.value, { created: size });
    const settled_s = await settle(ground, key);
    const unchanged = await run();
    expectCounts(unchanged.value, { unchanged: size });
    const dirty_when_unchanged = await dirty(ground.db);
    const left = Math.floor((size + 196) / 200);
    const updated = Math.floor((size + 98) / 100);
    await csvFile(file, size, (row, n) =>
      n % 200 === 3 ? null : n % 100 === 1 ? { ...row, title: `${row.title} II` } : row,
    );
    const changed = await run();
    expectCounts(changed.value, { unchanged: size - updated - left, updated, left });
    return { ceiling_s, first, unchanged, changed, settled_s, dirty_when_unchanged };
  } finally {
    await world.close();
  }
}

function expectCounts({ status, counts, reason }: ImportSummary, wanted: Readonly<Record<string, number>>): void {
  const same = Object.entries(wanted).every(([outcome, n]) => (counts[outcome] ?? 0) === n);
  if (status !== "DONE" || !same) {
    throw new Error(`${status} ${reason ?? ""}: ${JSON.stringify(counts)} rather than ${JSON.stringify(wanted)}`);
  }
}

/** The engine of a node answers everyone who is marked. Gives the seconds. */
async function settle(ground: Ground, key: ReturnType<typeof benchKey>): Promise<number> {
  const node = await startNode(ground, key);
  const { desired_s } = await untilDone(ground.db);
  await node.stop();
  return desired_s;
}

async function dirty(db: Database): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from dirty`.execute(db);
  return rows[0]?.n ?? 0;
}

/** The source with its mapping, and rules that put people in groups. Gives its id. */
async function source(ground: Ground, key: ReturnType<typeof benchKey>, file: string): Promise<string> {
  const command = commandOf(ground.db);
  const app = await must(
    createApp(
      command,
      {
        label: "HR",
        kind: "csv",
        config: { file, id_column: "employeeNumber", enabled_column: "status" },
        sourcing: { match_on: ["login"], start_attribute: "startDate", end_attribute: "endDate" },
      },
      { key, check: checkConfig(true) },
    ),
  );
  const text = { type: "string", array: false, required: false, writable: "never", readable: true } as const;
  const attributes = columns.map((name) => ({ name, ...text, unique: false, case_exact: true }));
  await must(adoptAppSchema(command, app.id, attributes));
  await must(putMapping(command, app.id, "to_user", mapping));
  for (const [name, expression] of Object.entries(rules)) {
    const [group] = await must(createGroups(command, [{ profile: { name } }]));
    const rule = await must(createRule(command, { name, expression, group_ids: [group?.id ?? ""] }));
    await must(activateRule(command, rule.id));
  }
  return app.id;
}

/** Seconds for the same rows by the plainest SQL there is. */
async function ceiling(ground: Ground, file: string, size: number): Promise<number> {
  const client = new pg.Client({ connectionString: ground.url });
  await client.connect();
  const pairs = columns.map((name) => `'${name}', "${name}"`).join(", ");
  try {
    await client.query(`create unlogged table ceiling_stage (${columns.map((name) => `"${name}" text`).join(", ")})`);
    await client.query("create table ceiling_people (id text primary key, login text not null unique, profile jsonb)");
    await client.query("checkpoint").catch(() => {});
    const began = performance.now();
    await pipeline(
      createReadStream(file),
      client.query(copyFrom("copy ceiling_stage from stdin with (format csv, header)")),
    );
    const { rowCount } = await client.query(`
      insert into ceiling_people
      select "employeeNumber", lower(login), jsonb_strip_nulls(jsonb_build_object(${pairs})) from ceiling_stage`);
    const seconds = (performance.now() - began) / 1000;
    if (rowCount !== size) throw new Error(`the ceiling inserted ${rowCount} rows, not ${size}`);
    return seconds;
  } finally {
    await client.query("drop table if exists ceiling_stage, ceiling_people");
    await client.end();
  }
}
