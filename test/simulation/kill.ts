/**
 * npm run kill -- [--rounds 100] [--people 200] [--seed N] [--json]
 *
 * Kills a real node again and again in the middle of its work and holds two real SCIM apps against what was asked for,
 * and the log as a poller was shown it against the events table. Prints what came of it: with --json one object on
 * stdout. Exit code 0: nothing lost, nothing doubled, no leaver enabled, every event shown once and in order; 1
 * otherwise, saying which. DATABASE_URL: a database of its own is made there, and dropped at the end.
 */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import pg from "pg";
import { type KillReport, play } from "./kill/play.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "100" },
    people: { type: "string", default: "200" },
    seed: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

function countOf(name: "rounds" | "people"): number {
  const count = Number(values[name]);
  if (Number.isInteger(count) && count > 0 && count <= 100_000) return count;
  throw new Error(`--${name} takes a whole number from 1 to 100000, not "${values[name]}"`);
}

/** A database of its own on a given server; without one, the embedded PostgreSQL serves. */
async function withDatabase<T>(work: (database_url: string | undefined) => Promise<T>): Promise<T> {
  const server = process.env["DATABASE_URL"];
  if (server === undefined || server === "") return work(undefined);
  const name = `tenure_kill_${randomBytes(6).toString("hex")}`;
  const execute = async (statement: string) => {
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    await client.query(statement).finally(() => client.end());
  };
  await execute(`create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return work(url.href).finally(() => execute(`drop database if exists ${name} with (force)`));
}

function print(report: KillReport): void {
  const { findings, ...figures } = report;
  if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  else
    process.stdout.write(
      `${Object.entries(figures)
        .map(([name, value]) => `${name} ${value}`)
        .join(" · ")}\n`,
    );
  for (const [kind, list] of Object.entries(findings))
    for (const one of list) process.stderr.write(`${kind}: ${one}\n`);
}

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort(new Error(signal)));

const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const say = (line: string) => void process.stderr.write(`${line}\n`);
try {
  const report = await withDatabase((database_url) =>
    play({
      ...{ rounds: countOf("rounds"), people: countOf("people"), seed, say, signal: stopping.signal },
      ...(database_url === undefined ? {} : { database_url }),
    }),
  );
  print(report);
  process.exitCode = Object.values(report.findings).every((list) => list.length === 0) ? 0 : 1;
} catch (error) {
  if (!stopping.signal.aborted) throw error;
  say("stopped before the end");
  process.exitCode = 1;
}
