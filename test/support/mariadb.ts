/**
 * A real MariaDB for a test file: a server of its own on loopback, with an empty data folder, ended by `stop`.
 *
 *     describe.runIf(hasMariadb)("…", () => { beforeAll(async () => { server = await startMariadb(); }); … });
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import mysql from "mysql2/promise";
import { needs } from "./needs.ts";

const server_program = "/usr/sbin/mariadbd";
const install_program = "/usr/bin/mariadb-install-db";

/** Is there one? If not, that is told; in continuous integration it fails. */
export const hasMariadb = needs(
  "MariaDB of Debian (mariadb-server-core)",
  existsSync(server_program) && existsSync(install_program),
);

export type Mariadb = Readonly<{
  host: string;
  port: number;
  /** A user who may only read, with `password`; `run` is somebody who may do everything. */
  username: string;
  password: string;
  database: string;
  run(statement: string): Promise<void>;
  stop(): Promise<void>;
}>;

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** @param options further ones of the server, such as its certificate */
export async function startMariadb(options: readonly string[] = []): Promise<Mariadb> {
  const folder = mkdtempSync(path.join(tmpdir(), "tenure-mariadb-"));
  const data = path.join(folder, "data");
  const user = process.getuid?.() === 0 ? ["--user=root"] : [];
  const install = ["--no-defaults", `--datadir=${data}`, "--auth-root-authentication-method=normal", "--skip-test-db"];
  execFileSync(install_program, [...install, ...user], { stdio: "ignore" });
  const port = await freePort();
  const log = openSync(path.join(folder, "log"), "a");
  const socket = path.join(folder, "socket");
  const child = spawn(
    server_program,
    [
      ...["--no-defaults", ...user, `--datadir=${data}`, `--socket=${socket}`, `--pid-file=${folder}/pid`],
      ...["--bind-address=127.0.0.1", `--port=${port}`, "--innodb-flush-log-at-trx-commit=0"],
      ...options,
    ],
    { stdio: ["ignore", log, log] },
  );
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const root = await connectRoot(child, socket, path.join(folder, "log"));
    await root.query("create database personnel");
    await root.query("create user reader@'%' identified by 'reads-0nly'");
    await root.query("grant select on personnel.* to reader@'%'");
    await root.query("use personnel");
    return {
      ...{ host: "127.0.0.1", port, username: "reader", password: "reads-0nly", database: "personnel" },
      run: async (statement) => void (await root.query(statement)),
      stop: async () => {
        root.destroy();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function connectRoot(child: ChildProcess, socketPath: string, log: string): Promise<mysql.Connection> {
  for (let n = 0; ; n++) {
    try {
      return await mysql.createConnection({ socketPath, user: "root", multipleStatements: true });
    } catch (error) {
      if (child.exitCode !== null || n > 300)
        throw new Error(readFileSync(log, "utf8").slice(-2_000), { cause: error });
      await sleep(100);
    }
  }
}
