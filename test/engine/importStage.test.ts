/** What an import reads before it decides: rows that come twice, values written otherwise, and the order of attributes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Page, PageRequest, RemoteAccount } from "../../src/connectors/connector.ts";
import { inKeptOrder } from "../../src/core/profile.ts";
import type { Value } from "../../src/core/types.ts";
import { type Database, sql } from "../../src/store/database.ts";
import { memoryWorld } from "../support/memoryWorld.ts";
import { settle, type TestWorld } from "../support/world.ts";
import { hrSource, linesOf } from "./hr.ts";

let db: Database;
let world: TestWorld;
memoryWorld((...given) => {
  [db, world] = given;
});

const person = (id: string, more: Readonly<Record<string, Value>> = {}): RemoteAccount => ({
  ...{ id, enabled: true, place: `row ${id}` },
  profile: { id, mail: `p${id}@example.com`, first: `P${id}`, last: "Hill", ...more },
});

/** A source whose list is what the test says, page by page. */
async function listed(pages: () => readonly Page[]) {
  const hr = await hrSource(world);
  const connector = world.connectors.get(hr.app_id)!;
  const list = async (_: unknown, { cursor = "0" }: PageRequest): Promise<Page> => {
    const all = pages();
    const next = Number(cursor) + 1;
    return { ...all[Number(cursor)]!, ...(next < all.length ? { next: String(next) } : { complete: true }) };
  };
  world.connectors.set(hr.app_id, { ...connector, list });
  return hr;
}

describe("a list", () => {
  test("whose pages shift while it is read shows a row twice: the first counts, and nobody is taken for gone", async () => {
    let pages: readonly Page[] = [{ items: [person("1"), person("2")] }, { items: [person("2"), person("3")] }];
    const hr = await listed(() => pages);
    const first = await hr.run();
    expect(first).toMatchObject({ status: "DONE", complete: false, counts: { created: 3, refused: 1 } });
    expect(await linesOf(world, first.id)).toContainEqual(
      expect.objectContaining({ line: 3, detail: { place: "row 2, 2", reason: "the source listed this id before" } }),
    );
    pages = [{ items: [person("1"), person("2"), person("2")] }];
    expect(await hr.run()).toMatchObject({ complete: false, counts: { unchanged: 2, refused: 1 } });
  });

  test("that vouches for each id on its last page only is believed, and on an earlier one not", async () => {
    const hr = await listed(() => [{ items: [person("1")], distinct: true }, { items: [person("1")] }]);
    const run = await hr.run();
    expect(run).toMatchObject({ complete: false, counts: { created: 1, refused: 1 } });
    expect((await linesOf(world, run.id)).map(({ detail }) => detail?.reason)).toContain(
      "the source listed this id before",
    );
  });

  test("in which nothing differs moves nobody, whatever else of the same value is remembered", async () => {
    const hr = await listed(() => [{ items: [person("1", { grade: 1, last: "Hill" }), person("2", { grade: 2 })] }]);
    await hr.run();
    await settle(world);
    await sql`update accounts set have = jsonb_set(have, '{profile,grade}', '1.0') where external_id = '1'`.execute(db);
    expect(await hr.run()).toMatchObject({ counts: { unchanged: 2 } });
    await sql`update accounts set have = jsonb_set(have, '{profile,grade}', '1.5') where external_id = '1'`.execute(db);
    expect(await hr.run()).toMatchObject({ counts: { updated: 1, unchanged: 1 } });
  });

  test("that lacks someone who is inactive already says nothing new; one who was active has left", async () => {
    let pages: readonly Page[] = [{ items: [person("1"), { ...person("2"), enabled: false }, person("3")] }];
    const hr = await listed(() => pages);
    await hr.run();
    pages = [{ items: [person("1"), person("3")] }];
    expect((await hr.run()).counts).toEqual({ unchanged: 2 });
    pages = [{ items: [person("3")] }];
    expect((await hr.run()).counts).toEqual({ unchanged: 1, left: 1 });
  });
});

test("attributes are put in the order in which the database keeps them, whatever their names", async () => {
  const names = fc.uniqueArray(
    fc.string({ unit: "binary", maxLength: 6 }).filter((name) => !name.includes("\0")),
    {
      maxLength: 12,
    },
  );
  await fc.assert(
    fc.asyncProperty(names, async (some) => {
      const document = JSON.stringify(Object.fromEntries(some.map((name) => [name, 1])));
      const { rows } = await sql<{ kept: readonly string[] }>`
        select array(select jsonb_object_keys(${document}::jsonb)) as kept`.execute(db);
      expect(inKeptOrder(some)).toEqual(rows[0]?.kept);
    }),
    { numRuns: 100 },
  );
});
