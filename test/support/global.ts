/**
 * Runs once around a whole test run: names the folder of the run's embedded PostgreSQL, which the first test file that
 * asks for a database starts (postgres.ts), and where the database in memory is kept that the others are copies of
 * (memory.ts); stops and removes both at the end. Also removes what a killed run left.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestProject } from "vitest/node";
import { isAlive } from "../../src/store/embedded/lock.ts";
import { startEmbedded } from "../../src/store/embedded.ts";
import { kept_variable } from "./memory.ts";

declare module "vitest" {
  interface ProvidedContext {
    test_data_folder: string;
  }
}

const prefix = "tenure-test-";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await remove(path.join(tmpdir(), name));
  }
  const folder = mkdtempSync(path.join(tmpdir(), `${prefix}${process.pid}-`));
  project.provide("test_data_folder", folder);
  // Tests start hundreds of processes: servers, commands, nodes. As the product does for itself (main.ts).
  process.env["NODE_COMPILE_CACHE"] ??= path.join(import.meta.dirname, "../../node_modules/.cache/tenure");
  process.env[kept_variable] = path.join(folder, "memory.tar");
  return () => remove(folder);
}

async function remove(folder: string): Promise<void> {
  try {
    if (existsSync(path.join(folder, "pg", "postmaster.pid"))) {
      const server = await startEmbedded({ data_folder: folder, throwaway: true, log: () => {} });
      await server.stop();
    }
    rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    process.stderr.write(`could not remove ${folder}: ${(error as Error).message}\n`);
  }
}
