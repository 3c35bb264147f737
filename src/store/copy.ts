/**
 * COPY: the fastest way into a table, for rows by the hundred thousand. A server offers it, the database of tests in
 * memory does not: then `openCopy` gives nothing and the caller inserts.
 *
 * Law: a COPY is one statement on a connection of its own, all or nothing; whoever opens one ends or abandons it.
 * Called by engine/importStage.ts.
 */
import { from } from "pg-copy-streams";
import { textBytes } from "../core/utf8.ts";
import { type Database, poolOf } from "./database.ts";

/**
 * A COPY under way. `write` takes whole lines (`copyLine`) and waits until the server has had those before: while it reads
 * these, the caller makes the next.
 */
export type CopyIn = Readonly<{
  write(lines: readonly string[]): Promise<void>;
  end(): Promise<void>;
  /** Ends it with nothing kept. */
  abandon(): Promise<void>;
}>;

/** Opens a COPY into a table, or gives undefined where there is none. Names are ours, never from outside. */
export async function openCopy(db: Database, table: string, columns: readonly string[]): Promise<CopyIn | undefined> {
  const pool = poolOf(db);
  if (pool === undefined) return undefined;
  const client = await pool.connect();
  const stream = client.query(from(`copy ${table} (${columns.join(", ")}) from stdin`));
  let failed: Error | undefined;
  let taken: Promise<void> | undefined;
  const ended = new Promise<void>((resolve) => {
    stream.once("finish", resolve);
    stream.once("error", (error: Error) => {
      failed = error;
      resolve();
    });
  });
  const settle = async () => {
    await ended;
    if (failed !== undefined) throw failed;
  };
  return {
    write: async (lines) => {
      await taken;
      if (failed !== undefined) throw failed;
      if (stream.write(textBytes(lines))) return;
      taken = Promise.race([new Promise<void>((resolve) => stream.once("drain", () => resolve())), ended]);
    },
    end: async () => {
      try {
        stream.end();
        await settle();
        client.release();
      } catch (error) {
        client.release(true);
        throw error;
      }
    },
    abandon: async () => {
      stream.destroy();
      // The connection goes with it: what it had sent is rolled back.
      client.release(true);
    },
  };
}

/** One row as COPY reads it: tab between values, backslash before what would end one. */
export function copyLine(values: readonly (string | number | boolean | null)[]): string {
  let line = "";
  for (let n = 0; n < values.length; n++) {
    const value = values[n] ?? null;
    if (n > 0) line += "\t";
    if (value === null) line += "\\N";
    else if (typeof value === "string") line += special.test(value) ? value.replace(specials, escaped) : value;
    else line += typeof value === "boolean" ? (value ? "t" : "f") : value;
  }
  return `${line}\n`;
}

const special = /[\\\t\n\r]/;
const specials = /[\\\t\n\r]/g;
const names: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };
const escaped = (character: string) => names[character] ?? character;
