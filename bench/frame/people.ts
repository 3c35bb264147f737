/**
 * People for benchmarks: those of the demo company, as many as wanted, as an HR file or as rows that are there already.
 * Everything is written by streaming, so a million costs no memory.
 */
import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { csvLines } from "../../demo/hrFile.ts";
import { type HrRow, people, personAt } from "../../demo/people.ts";
import type { Profile } from "../../src/core/types.ts";
import { type Database, sql } from "../../src/store/database.ts";

const seed = 7;
/** Dates in the file lie around it. The real one, because a contractor whose last day is over is nobody's hire. */
const today = new Date().toISOString().slice(0, 10);

/** A person's row in the HR file of `size` people. */
export const rowOf = (n: number, size: number): HrRow => personAt(n, size, seed, today);

/** A user profile as an HR mapping would give it: 14 attributes. */
export function profileOf(row: HrRow): Profile {
  const { employeeNumber, login, firstName, lastName, email, title, department, division, costCenter } = row;
  const { countryCode, city, managerEmployeeNumber, userType } = row;
  return {
    ...{ employeeNumber, login, firstName, lastName, email, title, department, division, costCenter },
    ...{ countryCode, city, userType, displayName: `${firstName} ${lastName}` },
    ...(managerEmployeeNumber === "" ? {} : { managerId: managerEmployeeNumber }),
  };
}

/**
 * Writes an HR file of `size` people. `change` may alter a row or leave it out (null); by default rows stay as they are.
 *
 * @returns how many rows were written.
 */
export async function csvFile(
  file: string,
  size: number,
  change: (row: HrRow, n: number) => HrRow | null = (row) => row,
): Promise<number> {
  let written = 0;
  function* rows(): Generator<HrRow> {
    let n = 0;
    for (const row of people(size, seed, today)) {
      const kept = change(row, n++);
      if (kept === null) continue;
      written++;
      yield kept;
    }
  }
  function* chunks(): Generator<string> {
    let chunk = "";
    for (const line of csvLines(rows())) {
      chunk += line;
      if (chunk.length < 65_536) continue;
      yield chunk;
      chunk = "";
    }
    yield chunk;
  }
  await pipeline(Readable.from(chunks()), createWriteStream(file));
  return written;
}

const batch = 10_000;

/** Active users straight into the table: what a benchmark of something else starts from. Nobody is marked or logged. */
export async function insertPeople(db: Database, size: number): Promise<void> {
  for (let from = 0; from < size; from += batch) {
    const profiles = Array.from({ length: Math.min(batch, size - from) }, (_, n) =>
      JSON.stringify(profileOf(rowOf(from + n, size))),
    );
    await sql`
      insert into users (status, profile, activated_at, status_changed_at)
      select 'ACTIVE', profile::jsonb, now(), now() from unnest(${profiles}::text[]) as p(profile)`.execute(db);
  }
  await sql`analyze users`.execute(db);
}
