/**
 * One node: database, engine and server, wired and started in an order that survives whatever is not there yet. The
 * server listens first, so that /readyz can say what is missing; then the database is waited for, migrated and given
 * its ground; then the engine starts.
 *
 * Called by `tenure serve`, by the demo, and by tests.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "../directory/command.ts";
import { endPeopleOfNodes, nodesOfPeopleImports } from "../directory/peopleImports.ts";
import { ensureGround } from "../directory/schemas.ts";
import { endImportsOfNodes, nodesOfImports } from "../engine/importEnds.ts";
import { readAgainSoon } from "../engine/importSchedule.ts";
import { type Engine, startEngine } from "../engine/loop.ts";
import { freeTurns, nodesOfNotices } from "../engine/notices.ts";
import type { Server } from "../server/api.ts";
import { eventHookForm } from "../server/okta/eventHookForm.ts";
import { buildServer } from "../server/server.ts";
import { type Database, isAway, openDatabase, requireVersion } from "../store/database.ts";
import { type Embedded, startEmbedded } from "../store/embedded.ts";
import { listenForWork } from "../store/listen.ts";
import { system } from "../store/log.ts";
import { migrate } from "../store/migrations/migrations.ts";
import { openReads } from "../store/reads.ts";
import { judgeKey, type Key, openKey } from "../store/secrets.ts";
import { checkConfig, connectorForms } from "./appTools.ts";
import { firstToken, standard_login } from "./firstAdmin.ts";
import { hasEnded, isAlive } from "./nodeName.ts";
import { configTester } from "./testConfig.ts";
import { type RealWorld, realWorld } from "./world.ts";

export type ServeOptions = Readonly<{
  data_folder: string;
  /** A PostgreSQL of your own; without it the embedded one in the data folder. */
  database_url?: string;
  host?: string;
  /** 0: any free port. */
  port?: number;
  base_url?: string;
  engine?: boolean;
  server?: boolean;
  /** Apps may be on private and loopback addresses. */
  allow_private?: boolean;
  /** The clock may be moved over the API. */
  allow_clock?: boolean;
  rate_limit?: number;
  /** Who the first administrator of a new installation is; null: the first token belongs to nobody. */
  admin_login?: string | null;
  connections?: number;
  /** A database that loses its data in a crash of the machine: tests and demos. */
  throwaway?: boolean;
  log?: (line: string) => void;
}>;

export type Node = Readonly<{
  /** Where the API is; undefined for a node without server. */
  url: string | undefined;
  /** Resolves when the node works: with the first token's text, if this start made it. Rejects when it never will. */
  ready: Promise<Readonly<{ token?: string }>>;
  /** The world of this node, for the demo and tests. Use it after `ready`. */
  world: RealWorld;
  /** Ends what is under way, then everything. May be called twice. */
  stop(): Promise<void>;
}>;

/** Names of the files that tell the CLI on this machine where the server is and how to get in. */
export const token_file = "admin.token";
export const address_file = "server.json";

/** Calls under way get this long to end; their leases make it safe to leave them. */
const stop_ms = 30_000;
/** While stopping, connections that have become idle are closed this often. */
const sweep_ms = 50;

/** Starts a node. Throws only for what no waiting can mend: no data folder, no embedded PostgreSQL, a port in use. */
export async function startNode(options: ServeOptions): Promise<Node> {
  const log = options.log ?? (() => {});
  const data_folder = resolve(options.data_folder);
  mkdirSync(data_folder, { recursive: true, mode: 0o700 });
  const import_folder = join(data_folder, "import");
  mkdirSync(import_folder, { recursive: true, mode: 0o700 });
  const key = openKey(data_folder);
  const embedded =
    options.database_url === undefined
      ? await startEmbedded({ data_folder, log, ...(options.throwaway ? { throwaway: true } : {}) })
      : undefined;
  const url = options.database_url ?? embedded?.url ?? "";
  const db = openDatabase(url, { connections: options.connections ?? 20 });
  const reach = { allow_private: options.allow_private ?? false, folder: import_folder };
  const world = realWorld(db, key, reach);
  const parts: Parts = {
    options,
    log,
    data_folder,
    url,
    db,
    reads: openReads(db),
    key,
    world,
    embedded,
    stopping: new AbortController(),
    engine: undefined,
    server: undefined,
  };
  try {
    if (options.server !== false) {
      const tools = { key, check: checkConfig(options.allow_private ?? false) };
      parts.server = await buildServer({
        world,
        reads: parts.reads,
        tools,
        forms: connectorForms(),
        testConfig: configTester(db, key, reach),
        import_folder,
        onError: (line, error) => log(`${line}: ${describe(error)}`),
        ...(options.base_url === undefined ? {} : { base_url: options.base_url }),
        ...(options.rate_limit === undefined ? {} : { rate_limit: options.rate_limit }),
        ...(options.allow_clock ? { moveClock: world.readClock } : {}),
      });
      await parts.server.listen({ host: options.host ?? "127.0.0.1", port: options.port ?? 4780 });
    }
  } catch (error) {
    await stopAll(parts);
    throw error;
  }
  const address = addressOf(parts.server);
  if (address !== undefined) tellAddress(data_folder, address);
  let stopped: Promise<void> | undefined;
  return {
    url: address,
    ready: prepare(parts),
    world,
    stop: () => {
      stopped ??= stopAll(parts);
      return stopped;
    },
  };
}

type Parts = {
  readonly options: ServeOptions;
  readonly log: (line: string) => void;
  readonly data_folder: string;
  readonly url: string;
  readonly db: Database;
  readonly reads: Database;
  readonly key: Key;
  readonly world: RealWorld;
  readonly embedded: Embedded | undefined;
  readonly stopping: AbortController;
  engine: Engine | undefined;
  server: Server | undefined;
};

function addressOf(server: Server | undefined): string | undefined {
  const address = server?.server.address();
  if (typeof address !== "object" || address === null) return undefined;
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `http://${host === "0.0.0.0" || host === "[::]" ? "127.0.0.1" : host}:${address.port}`;
}

/** Tells the command line on this machine where we are, unless another living node has told it before. */
function tellAddress(data_folder: string, url: string): void {
  const owner = addressOwner(data_folder);
  if (owner !== undefined && owner !== process.pid && isAlive(owner)) return;
  writeFileSync(join(data_folder, address_file), `${JSON.stringify({ url, pid: process.pid })}\n`);
}

/** The process whose address the file tells; undefined: nobody's. */
function addressOwner(data_folder: string): number | undefined {
  try {
    const { pid } = JSON.parse(readFileSync(join(data_folder, address_file), "utf8")) as { pid?: unknown };
    return typeof pid === "number" && Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Waits for the database, shapes it, makes the first token, starts the engine. */
async function prepare(parts: Parts): Promise<Readonly<{ token?: string }>> {
  await untilThere(parts);
  const { db, key, world, options, log } = parts;
  const foreign = await judgeKey(db, key);
  if (foreign !== undefined) throw new Error(foreign.refused);
  await world.readClock();
  const command: Command = { db, now: world.now, actor: system };
  await ensureGround(command);
  // All nodes of an embedded database are on this machine: whose process is gone need not be waited for.
  if (parts.embedded !== undefined) await endOfEnded(command, world.node);
  const token = options.server === false ? undefined : await keepFirstToken(parts, command);
  if (options.engine !== false && !parts.stopping.signal.aborted) {
    parts.engine = await startEngine(world, {
      listen: (wake) => listenForWork(parts.url, wake),
      onError: patientReporter(log),
      hooks: eventHookForm,
    });
  }
  return token === undefined ? {} : { token };
}

/** Ends the imports that a killed node was at, so that they are shown as cut off, and can be run again, from the start. */
async function endOfEnded(command: Command, own: string): Promise<void> {
  const { db } = command;
  const noted = [await nodesOfPeopleImports(db), await nodesOfImports(db), await nodesOfNotices(db)].flat();
  const ended = [...new Set(noted)].filter((node) => hasEnded(node, own));
  if (ended.length === 0) return;
  await endPeopleOfNodes(command, ended);
  await freeTurns(db, ended);
  await readAgainSoon(command, await endImportsOfNodes(command, ended));
}

/** Tries until the database answers and has our shape. A refusal other than being away is final. */
async function untilThere({ db, log, stopping }: Parts): Promise<void> {
  for (let failures = 0; ; failures++) {
    try {
      await requireVersion(db);
      await migrate(db);
      return;
    } catch (thrown) {
      const error = (thrown as Error).cause ?? thrown;
      if (!isAway(error)) throw thrown;
      if (failures % 10 === 0) log(`the database cannot be reached (${describe(error)}); trying again until it can`);
      await sleep(Math.min(5_000, 250 * 2 ** Math.min(failures, 5)), undefined, { signal: stopping.signal });
    }
  }
}

/** An installation without any token gets one: told once, and kept beside the data for this machine's CLI. */
async function keepFirstToken({ data_folder, options, log }: Parts, command: Command): Promise<string | undefined> {
  const text = await firstToken(command, options.admin_login === undefined ? standard_login : options.admin_login);
  if (text === undefined) return undefined;
  const file = join(data_folder, token_file);
  rmSync(file, { force: true });
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
  log(`made the first API token: ${file}`);
  return text;
}

/** Tells of the first of a run of like errors and then every hundredth, so that an outage is not a flood. */
function patientReporter(log: (line: string) => void): (error: unknown, what: string) => void {
  const counts = new Map<string, number>();
  return (error, what) => {
    const line = `engine, ${what}: ${isAway(error) ? "the database cannot be reached; trying again until it can" : describe(error)}`;
    const count = counts.get(line) ?? 0;
    if (counts.size > 1_000) counts.clear();
    counts.set(line, count + 1);
    if (count % 100 === 0) log(count === 0 ? line : `${line} (${count} times)`);
  };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

/**
 * Ends the server once the requests under way have been answered. Node closes idle connections only at this moment; one
 * that was busy now, and is kept alive by its client afterwards, would be waited for until that client lets go of it.
 */
async function closeServer(server: Server | undefined): Promise<void> {
  if (server === undefined) return;
  const sweep = setInterval(() => server.server.closeIdleConnections(), sweep_ms);
  await server.close().finally(() => clearInterval(sweep));
}

async function stopAll(parts: Parts): Promise<void> {
  const { stopping, server, engine, world, db, reads, embedded, data_folder } = parts;
  stopping.abort();
  const patience = new AbortController();
  await Promise.race([
    Promise.allSettled([engine?.stop(), closeServer(server)]),
    sleep(stop_ms, undefined, { signal: patience.signal, ref: false }).catch(() => {}),
  ]);
  patience.abort();
  if (server !== undefined && addressOwner(data_folder) === process.pid) {
    rmSync(join(data_folder, address_file), { force: true });
  }
  await world.close();
  await reads.destroy();
  await db.destroy();
  await embedded?.stop();
}
