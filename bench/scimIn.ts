/**
 * How fast a source pushes to us over SCIM: a node as `tenure serve` starts it, with a source that has told of N people,
 * asked by 16 keep-alive connections of another process.
 *
 * - Look-ups of people by userName, as every client begins with.
 * - 400 members more for a group that has half of the people, in one PATCH.
 * - Creates: each is an import of one row, committed to the disk before it is answered. This is the `rate`.
 *
 * The ceiling is the rows of the same people (what was pushed, the person, the account), each person in one bare insert
 * with a commit of its own, over 16 connections.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { enterprise_urn } from "../src/core/scim/path.ts";
import { createApp, updateApp } from "../src/directory/apps.ts";
import { createToken } from "../src/directory/tokens.ts";
import { checkConfig } from "../src/main/appTools.ts";
import { startNode } from "../src/main/serve.ts";
import { type Database, openDatabase, sql } from "../src/store/database.ts";
import type { Bench } from "./frame/bench.ts";
import { benchKey, commandOf, must, untilDone } from "./frame/engine.ts";
import { type Ground, serverAtRest } from "./frame/ground.ts";
import { measure, ofRuns } from "./frame/meter.ts";
import { insertPeople, profileOf, rowOf } from "./frame/people.ts";
import type { PlannedRequest, RequestsSeen } from "./frame/requestClient.ts";
import { median, spread, waits } from "./frame/stats.ts";

const connections = 16;
const creates = 3_000;
const lookups = 10_000;
const added = 400;
/** How often members are added: the middle one is told. */
const additions = 7;
const rate_limit = 1_000_000_000;

type Push = Readonly<{ ground: Ground; origin: string; token: string; app_id: string; size: number }>;

export const bench: Bench = {
  name: "scim-in",
  about: "people and groups pushed to us over SCIM by 16 connections",
  default_size: 100_000,
  run: async (ground, { size, runs, say }) => {
    const { app_id, token } = await source(ground);
    await insertPeople(ground.db, size);
    await tellOf(ground.db, app_id, size);
    const node = await startNode({ data_folder: ground.folder, database_url: ground.url, port: 0, rate_limit });
    try {
      await node.ready;
      const push: Push = { ground, origin: node.url ?? "", token, app_id, size };
      const members = await addMembers(push);
      say(`${added} members more: ${members.map((ms) => ms.toFixed(0)).join(", ")} ms`);
      // The first ones are answered by code that is not compiled yet.
      await lookUp(push, lookups);
      const looked = await lookUpAgain(push, runs);
      say(`look-ups: p99 ${looked.map(({ p99_ms }) => p99_ms.toFixed(1)).join(", ")} ms`);
      await create(push, 0, creates / 10);
      const all = [];
      for (let n = 0; n < runs; n++) {
        const one = await measure(ground, () => create(push, n + 1, creates));
        all.push(one);
        say(`run ${n + 1}: ${Math.round(creates / one.value.seconds)} creates/s`);
      }
      await untilDone(ground.db);
      const { middle, told } = ofRuns(all, ({ seconds }) => creates / seconds, median(await ceilings(push, runs)));
      return {
        ...{ size, ...told },
        creates_per_s: told.rate,
        lookup_p99_ms: median(looked.map(({ p99_ms }) => p99_ms)),
        lookup_p99_spread: spread(looked.map(({ p99_ms }) => p99_ms)),
        add_members_ms: median(members),
        lookups_per_s: median(looked.map(({ seconds }) => lookups / seconds)),
        lookup_p50_ms: median(looked.map(({ p50_ms }) => p50_ms)),
        create_waits: waits(middle.waits_ms),
        members_ms: spread(members),
        connections,
      };
    } finally {
      await node.stop();
    }
  },
};

/** A source over SCIM, and its token. */
async function source({ db }: Ground): Promise<Readonly<{ app_id: string; token: string }>> {
  const command = commandOf(db);
  const tools = { key: benchKey(), check: checkConfig(true) };
  const { id } = await must(createApp(command, { label: "Pushing", kind: "scim_in", config: {} }, tools));
  await must(updateApp(command, id, { sourcing: {} }, tools));
  const { text } = await must(createToken(command, { name: "Pushing", role: `SOURCE:${id}` }));
  return { app_id: id, token: text };
}

/** A person as a client sends one. */
function userOf(n: number, size: number) {
  const { login, firstName, lastName, email, title, userType, employeeNumber, ...row } = rowOf(n, size);
  const { department, division, costCenter } = row;
  return {
    ...{ userName: login, externalId: `x${employeeNumber}`, name: { givenName: firstName, familyName: lastName } },
    ...{ displayName: `${firstName} ${lastName}`, title, userType, active: true },
    emails: [{ value: email, type: "work", primary: true }],
    [enterprise_urn]: { employeeNumber, department, division, costCenter },
  };
}

const batch = 10_000;
const id_of = sql.raw(`'scm' || substr(u.id, 4)`);

/** The people who are there as if the source had pushed them long ago. */
async function tellOf(db: Database, app_id: string, size: number): Promise<void> {
  for (let from = 0; from < size; from += batch) {
    const users = Array.from({ length: Math.min(batch, size - from) }, (_, n) =>
      JSON.stringify(userOf(from + n, size)),
    );
    await sql`
      insert into scim_resources (id, app_id, type, resource, created_at, updated_at)
      select ${id_of}, ${app_id}, 'User', g.resource::jsonb, now(), now()
      from unnest(${users}::text[]) as g(resource) join users u on u.login = lower(g.resource::jsonb->>'userName')`.execute(
      db,
    );
  }
  await sql`
    insert into accounts (app_id, user_id, external_id, have)
    select ${app_id}, u.id, ${id_of}, jsonb_build_object('enabled', true, 'profile', u.profile) from users u`.execute(
    db,
  );
  await sql`vacuum (analyze) users, accounts, scim_resources`.execute(db);
}

/** A group of half the people is given members who are not in it yet, again and again. Gives how long each took. */
async function addMembers({ ground, origin, token, app_id, size }: Push): Promise<readonly number[]> {
  const { db } = ground;
  const half = Math.floor(size / 2);
  const group = { displayName: "Half of all", members: [] };
  const answer = await fetch(`${origin}/scim/v2/Groups`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/scim+json" },
    body: JSON.stringify({ schemas: ["urn:ietf:params:scim:schemas:core:2.0:Group"], ...group }),
  });
  const { id } = (await answer.json()) as { id: string };
  await sql`
    insert into scim_members (group_id, member_id)
    select ${id}, s.id from scim_resources s where s.app_id = ${app_id} and s.type = 'User' order by s.id limit ${half}`.execute(
    db,
  );
  await sql`
    insert into membership_grants (user_id, group_id, kind, source_id)
    select a.user_id, g.id, 'import', ${app_id} from scim_members m join accounts a on a.external_id = m.member_id
    join groups g on g.external_id = m.group_id where m.group_id = ${id} order by a.user_id`.execute(db);
  await sql`vacuum (analyze) scim_members, membership_grants`.execute(db);
  await serverAtRest(db);
  const { rows } = await sql<{ id: string }>`
    select s.id from scim_resources s where s.app_id = ${app_id} and s.type = 'User' order by s.id
    offset ${half} limit ${added * additions}`.execute(db);
  const requests = Array.from({ length: additions }, (_, n): PlannedRequest => {
    const value = rows.slice(n * added, (n + 1) * added).map((row) => ({ value: row.id }));
    const Operations = [{ op: "add", path: "members", value }];
    const body = { schemas: ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], Operations };
    return { method: "PATCH", path: `/scim/v2/Groups/${id}`, body, status: 204 };
  });
  const waits_ms: number[] = [];
  for (const request of requests) {
    waits_ms.push(...(await send(ground, { origin, token, connections: 1, requests: [request] })).waits_ms);
    // Whom the last one marked is not what the next one waits for.
    await untilDone(db);
  }
  const { rows: told } = await sql<{ n: number }>`
    select count(*)::int as n from membership_grants m join groups g on g.id = m.group_id
    where g.external_id = ${id}`.execute(db);
  const wanted = Math.min(size, half + added * additions);
  if (told[0]?.n !== wanted) throw new Error(`${told[0]?.n} people are in the group, not ${wanted}`);
  return waits_ms;
}

async function lookUp({ ground, origin, token, size }: Push, count: number): Promise<RequestsSeen> {
  const requests = Array.from({ length: count }, (_, n): PlannedRequest => {
    // Coprime with every size: people from all over the company, none of them soon again.
    const { login } = rowOf((n * 7_919) % size, size);
    const filter = encodeURIComponent(`userName eq "${login}"`);
    return { method: "GET", path: `/scim/v2/Users?filter=${filter}&startIndex=1&count=100`, status: 200 };
  });
  return send(ground, { origin, token, connections, requests });
}

/** Looks everyone up in several runs, one after the other. */
async function lookUpAgain(push: Push, runs: number) {
  const all: ({ seconds: number } & ReturnType<typeof waits>)[] = [];
  for (let run = 0; run < runs; run++) {
    const { seconds, waits_ms } = await lookUp(push, lookups);
    all.push({ seconds, ...waits(waits_ms) });
  }
  return all;
}

/** Creates people whom nobody knows, other ones in each run. */
async function create({ ground, origin, token, size }: Push, run: number, count: number): Promise<RequestsSeen> {
  const schemas = ["urn:ietf:params:scim:schemas:core:2.0:User", enterprise_urn];
  const requests = strangers(size, run, count).map(
    (user): PlannedRequest => ({ method: "POST", path: "/scim/v2/Users", body: { schemas, ...user }, status: 201 }),
  );
  return send(ground, { origin, token, connections, requests });
}

const strangers = (size: number, run: number, count: number) =>
  Array.from({ length: count }, (_, n) => {
    const user = userOf(n, size);
    const name = `new-${run}-${n}@meridian.example`;
    const emails = [{ value: name, type: "work", primary: true }];
    const extension = { ...user[enterprise_urn], employeeNumber: `n${run}-${n}` };
    return { ...user, userName: name, externalId: `n${run}-${n}`, emails, [enterprise_urn]: extension };
  });

async function send(
  { folder }: Ground,
  job: Readonly<{ origin: string; token: string; connections: number; requests: readonly PlannedRequest[] }>,
): Promise<RequestsSeen> {
  const file = join(folder, "requests.json");
  writeFileSync(file, JSON.stringify(job));
  const script = fileURLToPath(new URL("./frame/requestClient.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, file], { maxBuffer: 1e8 });
  return JSON.parse(stdout) as RequestsSeen;
}

/** Creates a second where each person is one bare insert of the same rows, with a commit of its own. */
async function ceilings({ ground, app_id, size }: Push, runs: number): Promise<readonly number[]> {
  const db = openDatabase(ground.url, { connections });
  try {
    const rates: number[] = [];
    for (let run = 0; run < runs; run++) {
      const rows = strangers(size, runs + 1 + run, creates).map((user, n) => ({
        user: JSON.stringify(user),
        profile: JSON.stringify({ ...profileOf(rowOf(n, size)), login: user.userName, email: user.userName }),
      }));
      let next = 0;
      const began = performance.now();
      const connection = async () => {
        for (let n = next++; n < rows.length; n = next++) await insertOne(db, app_id, rows[n]!);
      };
      await Promise.all(Array.from({ length: connections }, connection));
      rates.push(creates / ((performance.now() - began) / 1000));
    }
    return rates;
  } finally {
    await db.destroy();
  }
}

async function insertOne(db: Database, app_id: string, row: Readonly<{ user: string; profile: string }>) {
  await sql`
    with person as (
      insert into users (status, profile, activated_at, status_changed_at)
      values ('ACTIVE', ${row.profile}::jsonb, now(), now()) returning id),
    pushed as (
      insert into scim_resources (app_id, type, resource, created_at, updated_at)
      values (${app_id}, 'User', ${row.user}::jsonb, now(), now()) returning id)
    insert into accounts (app_id, user_id, external_id, have)
    select ${app_id}, person.id, pushed.id, ${`{"enabled":true,"profile":${row.profile}}`}::jsonb from person, pushed`.execute(
    db,
  );
}
