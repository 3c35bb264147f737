/**
 * How fast a change of mappings is foreseen: five apps that N people have each, twelve mapped attributes, one line of
 * every mapping changed so that each account would be written. Everything an administrator is told is in it: counts by
 * step, samples, the first accounts by name. Nothing is written; the benchmark looks whether that is so.
 *
 * The accounts stand as desire writes them (the same pure functions give their want, and desire itself is asked whether
 * it would change any), and as if the apps had confirmed them.
 *
 * The ceiling is PostgreSQL alone going through the same accounts with the same comparison, in one statement.
 */
import { setImmediate } from "node:timers/promises";
import { desiredAccounts } from "../src/core/desired.ts";
import { loadCompany } from "../src/engine/company.ts";
import { desire } from "../src/engine/desire.ts";
import { loadPeople } from "../src/engine/people.ts";
import { planMappings, previewMappings } from "../src/engine/previewMappings.ts";
import type { AppPreview } from "../src/engine/previewTally.ts";
import type { World } from "../src/engine/world.ts";
import { realWorld } from "../src/main/world.ts";
import { isRefusal, sql } from "../src/store/database.ts";
import type { Bench } from "./frame/bench.ts";
import { addScimApp, benchKey, giveToEveryone } from "./frame/engine.ts";
import { type Ground, serverAtRest } from "./frame/ground.ts";
import { type Metered, measure } from "./frame/meter.ts";
import { insertPeople } from "./frame/people.ts";
import { median, spread } from "./frame/stats.ts";

const apps = 5;
const batch = 2_000;
/** People whom desire itself is asked about. */
const asked = 200;

/** What changes: every name is turned round. */
const changed_line = { displayName: { expression: 'user.lastName + ", " + user.firstName' } };

export const bench: Bench = {
  name: "preview",
  about: "people with five accounts each, a changed mapping foreseen",
  default_size: 100_000,
  run: async (ground, { size, runs, say }) => {
    const key = benchKey();
    const world = realWorld(ground.db, key, { allow_private: true, folder: ground.folder });
    try {
      const app_ids = await company(ground, world, size, key);
      await expectRest(ground, world);
      say(`${apps * size} accounts are there`);
      const edits = await editsOf(ground, app_ids);
      const before = await written(ground);
      await foresee(world, edits);
      const all: Metered<readonly AppPreview[]>[] = [];
      for (let n = 0; n < runs; n++) {
        const one = await measure(ground, () => foresee(world, edits));
        expectAll(one.value, size);
        say(
          `run ${n + 1}: ${Math.round((apps * size) / one.seconds)} accounts/s, RSS ${Math.round(one.rss_peak_mb)} MB`,
        );
        all.push(one);
      }
      if ((await written(ground)) !== before) throw new Error("the preview wrote something");
      const ceiling_s = median(await inTurn(runs, () => ceiling(ground, app_ids)));
      const seconds = median(all.map((one) => one.seconds));
      const middle = all.find((one) => one.seconds === seconds);
      return {
        size,
        accounts: apps * size,
        seconds,
        rate: (apps * size) / seconds,
        ceiling_rate: (apps * size) / ceiling_s,
        ratio: ceiling_s / seconds,
        rss_peak_mb: Math.max(...all.map((one) => one.rss_peak_mb)),
        cpu_node_s: middle?.cpu_node_s ?? 0,
        cpu_postgres_s: middle?.cpu_postgres_s ?? null,
        rates: spread(all.map((one) => (apps * size) / one.seconds)),
      };
    } finally {
      await world.close();
    }
  },
};

async function company(ground: Ground, world: World, size: number, key: ReturnType<typeof benchKey>) {
  await insertPeople(ground.db, size);
  const app_ids: string[] = [];
  for (let n = 0; n < apps; n++) {
    // Nobody is called: the accounts are there already.
    const app = { label: `App ${n + 1}`, key, url: `http://127.0.0.1:9/${n}`, token: "t" };
    app_ids.push(await addScimApp(ground, app));
    await giveToEveryone(ground, app_ids.at(-1)!);
  }
  const now = world.now();
  const facts = await loadCompany(ground.db, now);
  for (let after = ""; ; ) {
    const { rows } = await sql<{ id: string }>`
      select id from users where id > ${after} order by id limit ${batch}`.execute(ground.db);
    const ids = rows.map((row) => row.id);
    if (ids.length === 0) break;
    after = ids.at(-1)!;
    const people = await loadPeople(ground.db, facts, ids, now);
    const lines = [...people].flatMap(([user_id, { person }]) =>
      desiredAccounts(person, facts.apps).map(({ app_id, want, grants, match_key }) => ({
        ...{ app_id, user_id, want, grants, match_key },
      })),
    );
    await sql`
      insert into accounts (app_id, user_id, external_id, assigned, want, want_revision, have, have_revision, grants, match_key)
      select app_id, user_id, 'x' || user_id, true, want, 1,
        jsonb_build_object('enabled', true, 'profile', want->'profile'), 1, grants, match_key
      from jsonb_to_recordset(${JSON.stringify(lines)}::jsonb)
        as l(app_id text, user_id text, want jsonb, grants jsonb, match_key text)`.execute(ground.db);
  }
  await sql`truncate dirty`.execute(ground.db);
  await sql`vacuum (analyze) accounts`.execute(ground.db);
  await serverAtRest(ground.db);
  return app_ids;
}

/** Desire finds nothing to change of some people: the company is at rest. */
async function expectRest(ground: Ground, world: World): Promise<void> {
  await sql`
    insert into dirty (user_id, priority, marked_at) select id, 10, now() from users order by md5(id) limit ${asked}`.execute(
    ground.db,
  );
  const { due } = await desire(world, asked);
  if (due > 0) throw new Error(`${due} accounts are not as desire would have them`);
}

async function editsOf(ground: Ground, app_ids: readonly string[]) {
  const { rows } = await sql<{ app_id: string; lines: Record<string, { expression: string }> }>`
    select app_id, lines from mappings where direction = 'to_app' and app_id = any(${[...app_ids]}::text[])`.execute(
    ground.db,
  );
  return rows.map(({ app_id, lines }) => ({ app: app_id, lines: { ...lines, ...changed_line } }));
}

async function foresee(world: World, edits: Awaited<ReturnType<typeof editsOf>>): Promise<readonly AppPreview[]> {
  const plan = await planMappings(world, edits);
  if (isRefusal(plan)) throw new Error(plan.refused);
  const pages = previewMappings(world, plan);
  for (;;) {
    const page = await pages.next();
    if (page.done) return page.value;
    // As the server does it.
    await setImmediate();
  }
}

function expectAll(previews: readonly AppPreview[], size: number): void {
  for (const { app, steps, attributes } of previews) {
    const [displayName] = attributes;
    if (steps.update !== size || attributes.length !== 1 || displayName?.accounts !== size)
      throw new Error(`${app}: ${JSON.stringify(steps)} is not what the change does`);
  }
}

/** Changes whenever a row of these tables does. */
async function written(ground: Ground): Promise<string> {
  const { rows } = await sql<{ seen: string }>`
    select concat_ws(' ', (select sum(want_revision + have_revision) from accounts), (select count(*) from work),
      (select count(*) from dirty), (select max(seq) from events), (select count(*) from operations)) as seen`.execute(
    ground.db,
  );
  return rows[0]?.seen ?? "";
}

async function ceiling(ground: Ground, app_ids: readonly string[]): Promise<number> {
  const began = performance.now();
  await sql`
    select a.app_id, count(*) filter (where a.want->'profile'->>'displayName' is distinct from v.name),
      count(*) filter (where a.have->'profile' is distinct from jsonb_set(a.want->'profile', '{displayName}', to_jsonb(v.name)))
    from accounts a join users u on u.id = a.user_id
      cross join lateral (select (u.profile->>'lastName') || ', ' || (u.profile->>'firstName') as name) v
    where a.assigned and a.app_id = any(${[...app_ids]}::text[]) group by a.app_id`.execute(ground.db);
  return (performance.now() - began) / 1000;
}

async function inTurn<T>(times: number, work: () => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let n = 0; n < times; n++) all.push(await work());
  return all;
}
