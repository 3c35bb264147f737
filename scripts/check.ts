/**
 * `npm test`: everything that must hold before a change is kept, in the order that tells soonest.
 *
 * Runs the repository's own rules (tidy), the type check, the linter and the tests; all of them, also after one has
 * failed, so that one run shows everything. Arguments go to Vitest (`npm test -- test/core`). `--quick` leaves the
 * tests out (`npm run check`). Exits 1 when a step failed.
 */
import { spawn } from "node:child_process";
import path from "node:path";

type Step = Readonly<{ name: string; command: readonly string[] }>;
type Result = Readonly<{ name: string; passed: boolean; seconds: number }>;

const root = path.dirname(import.meta.dirname);
const bin = path.join(root, "node_modules", ".bin");
/** Vitest colours its output on a build machine too, where the escape codes only hide words from a search. */
const plain = process.stdout.isTTY || process.env["FORCE_COLOR"] !== undefined ? {} : { NO_COLOR: "1" };

/** Gives the steps of a run; `filters` are Vitest's. */
function steps(quick: boolean, filters: readonly string[]): Step[] {
  const node = process.execPath;
  const module = (file: string) => [node, path.join(root, "node_modules", file)];
  const checks: Step[] = [
    { name: "tidy", command: [node, path.join(root, "scripts", "tidy.ts")] },
    { name: "types", command: [...module("typescript/bin/tsc"), "--noEmit"] },
    { name: "lint", command: [...module("@biomejs/biome/bin/biome"), "check", "--error-on-warnings"] },
  ];
  const tests: Step = { name: "tests", command: [...module("vitest/vitest.mjs"), "run", ...filters] };
  return quick ? checks : [...checks, tests];
}

function line({ name, passed, seconds }: Result): string {
  return `${passed ? "passed" : "FAILED"}  ${name.padEnd(6)} ${seconds.toFixed(1)} s`;
}

/** Runs one step with its output going straight through. */
function run(step: Step): Promise<Result> {
  const started = performance.now();
  const [file = "", ...args] = step.command;
  process.stdout.write(`\n── ${step.name}\n`);
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      cwd: root,
      stdio: "inherit",
      env: { ...process.env, ...plain, PATH: `${bin}${path.delimiter}${process.env["PATH"] ?? ""}` },
    });
    const end = (passed: boolean) =>
      resolve({ name: step.name, passed, seconds: (performance.now() - started) / 1000 });
    child.on("error", (error) => {
      process.stderr.write(`${step.name} did not start: ${error.message}\n`);
      end(false);
    });
    child.on("close", (code) => end(code === 0));
  });
}

const args = process.argv.slice(2);
const filters = args.filter((arg) => arg !== "--quick");
const results: Result[] = [];
for (const step of steps(args.includes("--quick"), filters)) {
  // The tests come last, so that Vitest's own summary closes the output.
  if (step.name === "tests") process.stdout.write(`\n${results.map(line).join("\n")}\n`);
  results.push(await run(step));
}
const failed = results.filter((result) => !result.passed).map((result) => result.name);
if (args.includes("--quick")) process.stdout.write(`\n${results.map(line).join("\n")}\n`);
if (failed.length > 0) process.stderr.write(`\nFAILED: ${failed.join(", ")} (see above)\n`);
process.exitCode = failed.length > 0 ? 1 : 0;
