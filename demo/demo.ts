/**
 * Where `npm start` and `tenure demo` come in: reads the command line, then loads the demo, whose code is kept compiled
 * from one start to the next.
 */
import { mkdirSync } from "node:fs";
import { enableCompileCache, getCompileCacheDir } from "node:module";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseOptions, usage } from "./options.ts";

/** Runs the demo with a command line; gives the exit code. */
export async function demo(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options === "help") {
    process.stdout.write(usage);
    return 0;
  }
  if ("wrong" in options) {
    process.stderr.write(`${options.wrong}\n\n${usage}`);
    return 2;
  }
  const data = resolve(options.data);
  try {
    mkdirSync(data, { recursive: true, mode: 0o700 });
  } catch (error) {
    process.stderr.write(
      `The demo keeps its data in ${data}, which cannot be made (${(error as Error).message}): use --data FOLDER\n`,
    );
    return 1;
  }
  enableCompileCache(join(data, "compiled"));
  // The apps are processes of their own and load much the same.
  process.env["NODE_COMPILE_CACHE"] ??= getCompileCacheDir();
  const { playDemo } = await import("./play.ts");
  return playDemo(options);
}
