/**
 * The stage of the story that Okta's own client tells: a whole node (server and engine) over a PostgreSQL, listening on
 * loopback, and a SCIM app of other makers in a process of its own. What is asked goes through Okta's client; what came
 * of it is read from the app itself, never from Tenure.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, type OktaApiError } from "@okta/okta-sdk-nodejs";
import { type SpawnedApp, spawnApp } from "../../demo/apps/spawn.ts";
import { readAccounts, readGroup } from "../../demo/reader.ts";
import type { Command } from "../../src/directory/command.ts";
import { type ServeOptions, startNode } from "../../src/main/serve.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { testDatabase } from "../support/postgres.ts";

export type SdkNode = Readonly<{
  url: string;
  token: string;
  db: Database;
  /** For what is given to the directory past the API. */
  command: Command;
  /** Okta's client with the first token. */
  client(): Client;
  stop(): Promise<void>;
}>;

/** Starts a node on a database of its own. */
export async function startSdkNode(options: Partial<ServeOptions> = {}): Promise<SdkNode> {
  const database = await testDatabase();
  const data_folder = mkdtempSync(path.join(tmpdir(), "tenure-sdk-"));
  const clean = async () => {
    await database.drop();
    rmSync(data_folder, { recursive: true, force: true });
  };
  try {
    const node = await startNode({
      ...{ data_folder, database_url: database.url, port: 0, allow_private: true, rate_limit: 0 },
      ...options,
    });
    const stop = async () => {
      await node.stop();
      await clean();
    };
    const { token = "" } = await node.ready.catch(async (error: unknown) => {
      await node.stop();
      throw error;
    });
    const { url = "" } = node;
    const { db, now } = node.world;
    const client = () => new Client({ orgUrl: url, token, authorizationMode: "SSWS" });
    return { url, token, db, command: { db, now, actor: system }, client, stop };
  } catch (error) {
    await clean();
    throw error;
  }
}

/** The SCIM app: what it holds, login by login, and who is in a group of it; null: it has no such group. */
export type ScimApp = Readonly<{
  url: string;
  token: string;
  accounts(): Promise<Readonly<Record<string, "on" | "off">>>;
  /** An attribute of an account, as the app shows it. */
  raw(login: string): Promise<Readonly<Record<string, unknown>> & Readonly<{ id: string }>>;
  members(group: string): Promise<readonly string[] | null>;
  stop(): Promise<void>;
}>;

/** Starts scimmy, which is written by others. */
export async function startScimApp(): Promise<ScimApp> {
  const app: SpawnedApp = await spawnApp("scimmy");
  return {
    url: app.url,
    token: app.token,
    accounts: async () =>
      Object.fromEntries((await readAccounts(app)).map(({ userName, active }) => [userName, active ? "on" : "off"])),
    raw: async (login) => {
      const found = (await readAccounts(app)).find(({ userName }) => userName === login);
      if (found === undefined) throw new Error(`the app has no account ${login}`);
      return { ...found.raw, id: found.id };
    },
    members: async (name) => {
      const group = await readGroup(app, name);
      if (group === null) return null;
      const names = new Map((await readAccounts(app)).map(({ id, userName }) => [id, userName]));
      return group.members.map((id) => names.get(id) ?? `the unknown account ${id}`).sort();
    },
    stop: app.stop,
  };
}

const settle_ms = 30_000;

/** Waits until the node has nothing left to do: whoever looks then sees the end, and not a moment that looks like it. */
export async function untilDone({ db }: SdkNode): Promise<void> {
  for (const until = Date.now() + settle_ms; ; ) {
    const { rows } = await sql<{ left: number }>`
      select ((select count(*) from dirty) + (select count(*) from rules where due_at is not null) +
        (select count(*) from work where due_at is not null or claimed_by is not null) +
        (select count(*) from pushed_groups where due_at is not null or claimed_by is not null))::int as left`.execute(
      db,
    );
    if (rows[0]?.left === 0) return;
    if (Date.now() > until) throw new Error(`the node has still ${rows[0]?.left} things to do: ${await standing(db)}`);
    await sleep(30);
  }
}

async function standing(db: Database): Promise<string> {
  const { rows } = await sql`
    select app_id, fault, fault_detail, due_at from work
    union all select app_id, fault, error, due_at from pushed_groups`.execute(db);
  return JSON.stringify(rows);
}

/** Status, code and first cause of a refusal. */
export async function refusal(asked: Promise<unknown>): Promise<readonly [number, string, string]> {
  try {
    await asked;
  } catch (error) {
    const { status, errorCode, errorCauses } = error as OktaApiError;
    return [Number(status), `${errorCode}`, `${errorCauses?.[0]?.errorSummary ?? ""}`];
  }
  throw new Error("it was not refused");
}

type Listed<T> = Readonly<{ each(take: (one: T) => void): Promise<unknown> }>;
/** Everything of a list, page by page. */
export async function listed<T>(asked: Promise<Listed<T>>): Promise<T[]> {
  const all: T[] = [];
  await (await asked).each((one) => void all.push(one));
  return all;
}

let made = 0;
/** A person who has a password, unless `activate` says that they are not active. */
export async function newPerson(okta: Client, more: Readonly<Record<string, unknown>>, activate: boolean) {
  const login = `suite${++made}@example.com`;
  const profile = { login, email: login, firstName: `First${made}`, lastName: "Suite", ...more };
  const credentials = { password: { value: "Abcd1234!suite" } };
  const user = await okta.userApi.createUser({ body: { profile, credentials }, activate });
  return { id: user.id ?? "", login, user };
}
