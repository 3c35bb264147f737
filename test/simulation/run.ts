/**
 * npm run simulate -- --seconds 60 [--seed N] [--path P] [--json]      plays random runs for a while
 * npm run simulate -- --bugs [--seconds 120] [--json]                  each planted bug must be found in that time
 *
 * Exit code 0: no violation (with --bugs: every bug was found), 1 otherwise.
 */
import { parseArgs } from "node:util";
import type { Bug } from "../../src/engine/world.ts";
import { memoryDatabase } from "../support/memory.ts";
import { faultKinds, play, type Tally } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string" },
    seed: { type: "string" },
    path: { type: "string" },
    json: { type: "boolean", default: false },
    bugs: { type: "boolean", default: false },
    bug: { type: "string" },
  },
});

const bugs: readonly Bug[] = [
  "no_lookup",
  "no_fencing",
  "no_unsure",
  "late_calls",
  "forget_tried_keys",
  "clear_always",
  "trust_short_list",
];
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const say = (line: unknown) => process.stdout.write(`${values.json ? JSON.stringify(line) : render(line)}\n`);

function render(line: unknown): string {
  return typeof line === "object" && line !== null
    ? Object.entries(line)
        .map(([key, value]) => `${key} ${typeof value === "object" ? JSON.stringify(value) : value}`)
        .join(" · ")
    : String(line);
}

const tallyOf = (): Tally => ({
  runs: 0,
  steps: 0,
  fired: Object.fromEntries(faultKinds.map((kind) => [kind, 0])),
  violations: 0,
});

async function healthy(): Promise<boolean> {
  const db = await memoryDatabase();
  const tally = tallyOf();
  const until = Date.now() + Number(values.seconds ?? 60) * 1_000;
  for (let n = 0; Date.now() < until && tally.violations === 0; n++) {
    await play(db, seed + n, values.path === undefined ? 50 : 1, new Set(), tally, until, values.path);
    if (values.path !== undefined) break;
  }
  await db.destroy();
  const silent = Object.entries(tally.fired)
    .filter(([, n]) => n === 0)
    .map(([kind]) => kind);
  say({ seed, ...tally, silent });
  // A run so short that a kind of fault never struck proves nothing about it.
  return tally.violations === 0 && (silent.length === 0 || values.path !== undefined);
}

async function planted(): Promise<boolean> {
  const limit_ms = Number(values.seconds ?? 120) * 1_000;
  const wanted = values.bug === undefined ? bugs : bugs.filter((bug) => bug === values.bug);
  let all = wanted.length > 0;
  for (const bug of wanted) {
    const db = await memoryDatabase();
    const tally = tallyOf();
    const from = Date.now();
    for (let n = 0; Date.now() < from + limit_ms && tally.violations === 0; n++) {
      await play(db, seed + n * 7_919, 50, new Set([bug]), tally, from + limit_ms);
    }
    await db.destroy();
    const found = tally.violations > 0;
    all &&= found;
    say({
      bug,
      found,
      seconds: Math.round((Date.now() - from) / 100) / 10,
      runs: tally.runs,
      steps: tally.steps,
      message: tally.failure?.message.slice(0, 600) ?? null,
    });
  }
  return all;
}

process.exitCode = (await (values.bugs || values.bug !== undefined ? planted() : healthy())) ? 0 : 1;
