/**
 * npm run hr -- --people 5000 --days 400 --seed 1 [--variant] [--json]
 *
 * A seeded history of hires, moves, leaves, absences, returns and every second thought about them, fed day by day through
 * the real import, and compared with an oracle of its own. `--variant`: each file in random order of rows, some days
 * skipped, some delivered twice. Exit code 0: nobody was ever in a wrong state.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { openDatabase } from "../../src/store/database.ts";
import { startEmbedded } from "../../src/store/embedded.ts";
import { migrate } from "../../src/store/migrations/migrations.ts";
import { drive } from "./drive.ts";

const { values } = parseArgs({
  options: {
    people: { type: "string", default: "500" },
    days: { type: "string", default: "120" },
    seed: { type: "string", default: "1" },
    variant: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

const from = Date.now();
const [people, days, seed] = [Number(values.people), Number(values.days), Number(values.seed)];
// A year of thousands of people is too much for a database in memory: a day took eight times as long.
const folder = mkdtempSync(path.join(tmpdir(), "tenure-hr-"));
const server = await startEmbedded({ data_folder: folder, throwaway: true, log: () => {} });
const db = openDatabase(server.url);
await migrate(db);
let told = 0;
const result = await drive(db, {
  ...{ people, days, seed, variant: values.variant },
  onWrong: (words) => {
    if (told++ < 10) process.stderr.write(`${words}\n`);
  },
  onDay: (day) => {
    if (day % 50 === 0) process.stderr.write(`day ${day}, ${Math.round((Date.now() - from) / 1000)} s\n`);
  },
});
await db.destroy();
await server.stop();
rmSync(folder, { recursive: true, force: true });
const line = {
  people,
  days,
  seed,
  variant: values.variant,
  ...result,
  seconds: Math.round((Date.now() - from) / 1000),
};
process.stdout.write(
  values.json
    ? `${JSON.stringify(line)}\n`
    : `${Object.entries(line)
        .map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`)
        .join("\n")}\n`,
);
process.exitCode = result.wrong_states + result.wrong_imports + result.doubles > 0 ? 1 : 0;
