/**
 * `npm run compatibility`: runs the API's tests, notes what every endpoint answered, and writes
 * docs/okta-compatibility.md anew. Exits 1, and writes nothing, when a test fails.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { type Endpoint, pageOf } from "./compatibilityPage.ts";

const root = path.dirname(import.meta.dirname);
const folder = mkdtempSync(path.join(tmpdir(), "tenure-answers-"));

try {
  const vitest = path.join(root, "node_modules/vitest/vitest.mjs");
  const ran = spawnSync(process.execPath, [vitest, "run", "test/api"], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, TENURE_ANSWERS: folder },
  });
  if (ran.status !== 0) {
    process.stderr.write("A test failed: the page is left as it is.\n");
    process.exitCode = 1;
  } else {
    const endpoints = JSON.parse(readFileSync(path.join(folder, "endpoints.json"), "utf8")) as Endpoint[];
    const files = readdirSync(folder).filter((file) => file.endsWith(".txt"));
    const answers = files.flatMap((file) => readFileSync(path.join(folder, file), "utf8").trim().split("\n"));
    writeFileSync(path.join(root, "docs/okta-compatibility.md"), pageOf(endpoints, new Set(answers)));
    process.stdout.write(`docs/okta-compatibility.md: ${endpoints.length} routes, ${answers.length} answers\n`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
