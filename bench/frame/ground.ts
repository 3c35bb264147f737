/**
 * What a benchmark runs on: an empty database of its own, migrated, on a server that writes to disk as in real use. The
 * embedded PostgreSQL in a scratch folder, or the server of `--database-url`, where each ground makes a database and
 * drops it again.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { ensureGround } from "../../src/directory/schemas.ts";
import { type Database, openDatabase, sql } from "../../src/store/database.ts";
import { startEmbedded } from "../../src/store/embedded.ts";
import { system } from "../../src/store/log.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";

export type Ground = Readonly<{
  db: Database;
  /** Connection string; also of other processes that work on the same database. */
  url: string;
  /** Version of the server, as in "18.4". */
  version: string;
  /** The id of the group Everyone. */
  everyone: string;
  /** A folder for files; removed at the end. */
  folder: string;
  /** Process numbers of the server, as they are now; none when it is not on this machine. */
  pids: () => readonly number[];
  /**
   * Another empty database on the same server; what an earlier call made is gone then. The server would clean it up beside
   * what is measured next: a second and more of a processor for 20,000 accounts.
   */
  fresh: () => Promise<Ground>;
}>;

export type OpenGround = Ground & Readonly<{ close: () => Promise<void> }>;

type Server = Readonly<{ url: string; pids: () => readonly number[]; stop: () => Promise<void> }>;

/** Opens a ground on the server of `database_url`, or on an embedded one that is stopped at the end. */
export async function openGround(database_url: string | undefined, say: (line: string) => void): Promise<OpenGround> {
  const folder = mkdtempSync(join(tmpdir(), "tenure-bench-"));
  // Started as root, the server runs as a user who must get in, else its data would be kept elsewhere.
  chmodSync(folder, 0o755);
  const server = database_url === undefined ? await embedded(folder, say) : await given(database_url);
  let drop = async () => {};
  const fresh = async (): Promise<Ground> => {
    await drop();
    const name = `tenure_bench_${randomBytes(4).toString("hex")}`;
    const admin = openDatabase(server.url, { connections: 1 });
    await sql.raw(`create database ${name}`).execute(admin);
    const url = withDatabase(server.url, name);
    const db = openDatabase(url, { connections: 20 });
    drop = async () => {
      drop = async () => {};
      await db.destroy();
      await sql.raw(`drop database if exists ${name} with (force)`).execute(admin);
      await admin.destroy();
    };
    await migrate(db);
    const everyone = await ensureGround({ db, now: () => new Date(), actor: system });
    const { rows } = await sql<{ version: string }>`
      select split_part(current_setting('server_version'), ' ', 1) as version`.execute(db);
    return { db, url, version: rows[0]?.version ?? "", everyone, folder, pids: server.pids, fresh };
  };
  const close = async () => {
    await drop().catch(() => {});
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    return { ...(await fresh()), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function embedded(folder: string, say: (line: string) => void): Promise<Server> {
  const server = await startEmbedded({ data_folder: join(folder, "data"), log: say });
  return {
    url: server.url,
    pids: () => [server.pid(), ...childrenOf(server.pid())],
    stop: () => server.stop(),
  };
}

/** A server somebody else runs; when it is on this machine, its processes are found by the first one's number. */
async function given(url: string): Promise<Server> {
  const db = openDatabase(url, { connections: 1 });
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db);
  await db.destroy();
  const parent = parentOf(rows[0]?.pid ?? 0);
  const local = parent !== undefined && isPostgres(parent);
  return { url, pids: () => (local ? [parent, ...childrenOf(parent)] : []), stop: async () => {} };
}

function withDatabase(url: string, name: string): string {
  const parsed = new URL(url);
  parsed.pathname = `/${name}`;
  return parsed.toString();
}

function isPostgres(pid: number): boolean {
  const file = `/proc/${pid}/comm`;
  return existsSync(file) && readFileSync(file, "utf8").startsWith("postgres");
}

function parentOf(pid: number): number | undefined {
  const file = `/proc/${pid}/stat`;
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, "utf8");
  return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]);
}

function childrenOf(pid: number): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => {
      try {
        return parentOf(one) === pid;
      } catch {
        return false;
      }
    });
}

const settle_max_ms = 120_000;

/**
 * Waits until the server does nothing by itself: no autovacuum, and what was written is on the disk. A company of millions
 * that came to be a minute ago is cleaned up for another one; one that has been there for weeks is not. A server of
 * one's own may not allow the checkpoint.
 */
export async function serverAtRest(db: Database): Promise<void> {
  await sql`checkpoint`.execute(db).catch(() => {});
  const until = performance.now() + settle_max_ms;
  for (let quiet = 0; quiet < 3 && performance.now() < until; ) {
    const { rows } = await sql<{ busy: boolean }>`
      select exists (select from pg_stat_activity where backend_type = 'autovacuum worker') as busy`.execute(db);
    quiet = rows[0]?.busy ? 0 : quiet + 1;
    await sleep(500);
  }
  await sql`checkpoint`.execute(db).catch(() => {});
}
