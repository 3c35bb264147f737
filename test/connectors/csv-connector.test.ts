import { appendFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Connector, Context } from "../../src/connectors/connector.ts";
import type { CsvConfig } from "../../src/connectors/csv/config.ts";
import { csvConnector } from "../../src/connectors/csv/connector.ts";

let root = "";
let folder = "";
const ctx: Context = { signal: new AbortController().signal, log: () => undefined, now: () => new Date() };

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "tenure-csv-"));
  folder = join(root, "import");
  await mkdir(join(folder, "hr"), { recursive: true });
  await writeFile(join(root, "secret.csv"), "id\n1\n");
  await symlink(join(root, "secret.csv"), join(folder, "link.csv"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function file(name: string, text: string): Promise<void> {
  await writeFile(join(folder, name), text);
}

function connect(config: Partial<CsvConfig> & { file: string }): Connector {
  return csvConnector({ id_column: "id", ...config }, { folder });
}

describe("a CSV source", () => {
  it("gives its rows as accounts, page by page, with the columns it is told", async () => {
    await file("hr/people.csv", "id,Mail,State,Note\n1,a@x,Active,\n2,b@x,left,n\n3,c@x,ACTIVE,n\n");
    const connector = connect({
      file: "hr/people.csv",
      columns: { email: "Mail", note: "Note" },
      enabled_column: "State",
    });
    expect((await connector.schema(ctx)).attributes).toMatchObject([
      { name: "email", external_name: "Mail", writable: "never" },
      { name: "note", external_name: "Note" },
    ]);
    const first = await connector.list(ctx, { limit: 2 });
    expect(first).toMatchObject({
      items: [
        { id: "1", enabled: true, profile: { email: "a@x" } },
        { id: "2", enabled: false, profile: { email: "b@x", note: "n" } },
      ],
    });
    expect(first.items[0]?.profile).toEqual({ email: "a@x" });
    const last = await connector.list(ctx, { limit: 2, cursor: first.next! });
    expect(last).toMatchObject({ items: [{ id: "3", enabled: true }], complete: true });
    expect(await connector.read(ctx, "2")).toMatchObject({ id: "2" });
    expect(await connector.read(ctx, "9")).toBeNull();
    expect(await connector.find(ctx, { attribute: "email", value: "c@x" })).toMatchObject([{ id: "3" }]);
    await connector.close?.();
  });

  it("that is written to while its last page is read gives nothing", async () => {
    await file("torn.csv", "id\n1\n2\n");
    const path = join(folder, "torn.csv");
    // Asked before every row, so it is written in the middle.
    const signal = Object.defineProperty(new AbortController().signal, "aborted", {
      get: () => {
        appendFileSync(path, "3\n");
        return false;
      },
    });
    await expect(connect({ file: "torn.csv" }).list({ ...ctx, signal }, {})).rejects.toThrow(
      /changed while it was read/,
    );
  });

  it("goes on after a restart where it was, and starts anew if the file changed", async () => {
    await file("pages.csv", `id\n${Array.from({ length: 10 }, (_, n) => `${n}\n`).join("")}`);
    const first = await connect({ file: "pages.csv" }).list(ctx, { limit: 4 });
    const second = await connect({ file: "pages.csv" }).list(ctx, { limit: 4, cursor: first.next! });
    expect(second.items.map((one) => one.id)).toEqual(["4", "5", "6", "7"]);
    await utimes(join(folder, "pages.csv"), new Date(0), new Date(0));
    await expect(connect({ file: "pages.csv" }).list(ctx, { cursor: second.next! })).rejects.toMatchObject({
      kind: "retry",
      message: expect.stringMatching(/changed while it was read/),
    });
  });

  it("reports broken rows and second ids with their lines, and then does not vouch for the list", async () => {
    await file("broken.csv", 'id,name\n1,a\n2,"b"x\n,c\n1,d\n3,e\n');
    const connector = connect({ file: "broken.csv" });
    const first = await connector.list(ctx, { limit: 4 });
    expect(first.items.map((one) => one.id)).toEqual(["1"]);
    expect(first.refused).toEqual([
      { id: "2", place: "line 3", reason: expect.stringMatching(/column "name": there is text behind/) },
      { place: "line 4", reason: 'column "id": the id is empty' },
      { place: "line 5", reason: "the id 1 was there before" },
    ]);
    const last = await connector.list(ctx, { cursor: first.next! });
    expect(last).toMatchObject({ items: [{ id: "3" }], complete: false });
  });

  it("vouches at the end that no id came twice, unless several rows of one id were wanted", async () => {
    await file("ids.csv", "id,name\n1,a\n2,b\n1,c\n");
    const first = await connect({ file: "ids.csv" }).list(ctx, { limit: 2 });
    expect(first.distinct).toBeUndefined();
    expect(await connect({ file: "ids.csv" }).list(ctx, { cursor: first.next! })).toMatchObject({
      items: [],
      distinct: true,
    });
    const all = await connect({ file: "ids.csv" }).list(ctx, { repeats: true });
    expect([all.items.length, all.distinct]).toEqual([3, undefined]);
  });

  it("gives attributes in the order in which they are kept: shorter names first", async () => {
    await file("order.csv", "title,id,dept,name\nBoss,1,Mills,Ada\n");
    const { items } = await connect({ file: "order.csv" }).list(ctx, {});
    expect(Object.keys(items[0]!.profile)).toEqual(["id", "dept", "name", "title"]);
  });

  it.each([
    ["../secret.csv", "denied"],
    ["/etc/passwd", "denied"],
    ["link.csv", "denied"],
    ["hr", "invalid"],
    ["not-there.csv", "retry"],
  ])("does not read %s", async (name, kind) => {
    await expect(connect({ file: name }).test(ctx)).rejects.toMatchObject({ kind });
  });

  it("reads nothing where no folder is set", async () => {
    await expect(csvConnector({ file: "a.csv", id_column: "id" }).test(ctx)).rejects.toMatchObject({ kind: "denied" });
  });

  it("names the column that is missing", async () => {
    await file("short.csv", "id\n1\n");
    await expect(connect({ file: "short.csv", columns: { email: "Mail" } }).test(ctx)).rejects.toMatchObject({
      kind: "invalid",
      attribute: "Mail",
    });
  });

  it("refuses every write", async () => {
    const connector = connect({ file: "short.csv" });
    await expect(connector.create(ctx, { profile: {}, enabled: true, key: "k" })).rejects.toMatchObject({
      kind: "unsupported",
    });
    expect(Object.values(connector.can).every((can) => can === false || can === 0)).toBe(true);
  });
});
