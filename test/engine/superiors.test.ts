/** Who is meant by what a person's `managerId` says. */
import { beforeAll, expect, test } from "vitest";
import { createUsers } from "../../src/directory/users.ts";
import { loadSuperiors } from "../../src/engine/people.ts";
import { type Database, isRefusal } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { memoryDatabase } from "../support/memory.ts";

let db: Database;

beforeAll(async () => {
  db = await memoryDatabase();
}, 60_000);

test("an employee number is taken as it is written, a login however it is written", async () => {
  const profile = (login: string, employeeNumber: string) => ({
    profile: { login, email: login, firstName: "Ann", lastName: "Lee", employeeNumber },
  });
  const made = await createUsers({ db, now: () => new Date(), actor: system }, [
    profile("upper@example.com", "E7"),
    profile("lower@example.com", "e7"),
  ]);
  if (isRefusal(made)) throw new Error(made.refused);
  const [upper, lower] = made.map(({ id }) => id);
  const cases = [
    ["E7", upper],
    ["e7", lower],
    ["UPPER@example.com", upper],
    [lower ?? "", lower],
    ["E8", undefined],
  ] as const;
  const found = await loadSuperiors(
    db,
    cases.map(([managerId]) => ({ profile: { managerId } })),
  );
  for (const [key, id] of cases) expect([key, found.get(key)?.id]).toEqual([key, id]);
});
