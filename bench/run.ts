/**
 * Runs one benchmark: `npm run bench -- NAME [--size N] [--runs N] [--seconds N] [--json] [--scale] [--database-url URL]`.
 *
 * Progress goes to the error output; the last line of the output is the result, with `--json` one JSON object. A
 * benchmark is never a test: it judges nothing, and nothing waits for its figures. How to read them: bench/README.md.
 */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { Bench } from "./frame/bench.ts";
import { openGround } from "./frame/ground.ts";
import { describeMachine, load } from "./frame/machine.ts";

const here = dirname(fileURLToPath(import.meta.url));

/** The benchmarks: the files beside this one. */
function names(): string[] {
  return readdirSync(here)
    .filter((file) => file.endsWith(".ts") && file !== "run.ts")
    .map((file) => file.slice(0, -3))
    .sort();
}

/** `scim-in` is in scimIn.ts. */
async function loadBench(name: string): Promise<Bench | undefined> {
  if (!/^[a-z]+(?:-[a-z]+)*$/i.test(name) || name === "run") return undefined;
  const file = join(here, `${name.replace(/-([a-z])/gi, (_, letter: string) => letter.toUpperCase())}.ts`);
  if (!existsSync(file)) return undefined;
  const module = (await import(pathToFileURL(file).href)) as { bench?: Bench };
  return module.bench;
}

async function list(): Promise<string> {
  const all = await Promise.all(names().map(loadBench));
  return all.flatMap((one) => (one ? [`  ${one.name.padEnd(12)}${one.about} (${one.default_size})`] : [])).join("\n");
}

const usage =
  "usage: npm run bench -- NAME [--size N] [--runs N] [--seconds N] [--json] [--scale] [--database-url URL]";

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      size: { type: "string" },
      runs: { type: "string" },
      seconds: { type: "string" },
      json: { type: "boolean", default: false },
      scale: { type: "boolean", default: false },
      "database-url": { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const [name] = positionals;
  const bench = name === undefined || values.help ? undefined : await loadBench(name);
  if (bench === undefined) {
    const unknown = name === undefined || values.help ? "" : `there is no benchmark ${name}\n`;
    process.stderr.write(`${unknown}${usage}\n\nBenchmarks, with their default sizes:\n${await list()}\n`);
    return values.help ? 0 : 2;
  }
  const size = whole("size", values.size ?? `${bench.default_size}`);
  const runs = whole("runs", values.runs ?? "3");
  const seconds = values.seconds === undefined ? undefined : whole("seconds", values.seconds);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const load_before = load();
  const database_url = values["database-url"] ?? process.env["DATABASE_URL"];
  const ground = await openGround(database_url === "" ? undefined : database_url, say);
  try {
    const options = { size, runs, seconds, json: values.json, scale: values.scale, say };
    const result = await bench.run(ground, options);
    const machine = describeMachine(ground.version, load_before);
    const line = { bench: bench.name, ...round(result), machine };
    process.stdout.write(values.json ? `${JSON.stringify(line)}\n` : `${table(line)}\n`);
    return 0;
  } finally {
    await ground.close();
  }
}

function whole(name: string, text: string): number {
  const number = Number(text.replaceAll("_", ""));
  if (Number.isInteger(number) && number > 0) return number;
  process.stderr.write(`--${name} must be a whole number above 0, not ${text}\n`);
  process.exit(2);
}

/** Three significant digits after what noise leaves; whole numbers stay. */
function round<T>(value: T): T {
  if (typeof value === "number") return (Number.isInteger(value) ? value : Number(value.toPrecision(4))) as T;
  if (Array.isArray(value)) return value.map(round) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, round(one)])) as T;
}

function table(result: Readonly<Record<string, unknown>>): string {
  return Object.entries(result)
    .map(([name, value]) => `${name.padEnd(20)} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join("\n");
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
});
