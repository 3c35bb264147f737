import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConnectorFault } from "../../src/connectors/connector.ts";
import { type CsvOptions, type CsvRow, csvHeader, openCsv } from "../../src/connectors/csv/read.ts";
import { csvCell, csvRow, withoutGuard } from "../../src/core/csv.ts";

function bytes(...parts: (string | Uint8Array)[]): AsyncIterable<Uint8Array> {
  return Readable.from(parts.map((part) => Buffer.from(part)));
}

async function rows(source: AsyncIterable<Uint8Array>, options?: CsvOptions): Promise<CsvRow[]> {
  const all: CsvRow[] = [];
  for await (const row of openCsv(source, options)) all.push(row);
  return all;
}

async function refusal(source: AsyncIterable<Uint8Array>, options?: CsvOptions): Promise<string> {
  const fault = await rows(source, options).then(
    () => null,
    (error: unknown) => error,
  );
  expect(fault).toBeInstanceOf(ConnectorFault);
  expect((fault as ConnectorFault).kind).toBe("invalid");
  return (fault as ConnectorFault).message;
}

const good: [name: string, text: string, wanted: CsvRow[]][] = [
  ["plain rows", "a,b\n1,2\n", [{ line: 2, record: { a: "1", b: "2" } }]],
  ["a last row without a line end", "a\n1", [{ line: 2, record: { a: "1" } }]],
  ["Windows line ends", "a,b\r\n1,2\r\n", [{ line: 2, record: { a: "1", b: "2" } }]],
  ["a byte order mark", "\ufeffa\n1\n", [{ line: 2, record: { a: "1" } }]],
  ["white space as data", "a,b\n x , \n", [{ line: 2, record: { a: " x ", b: " " } }]],
  ["formulas as data", "a\n=1+1\n", [{ line: 2, record: { a: "=1+1" } }]],
  [
    "quotes, separators and lines in a cell",
    'a,b\n"x""y,","1\n2"\n3,4\n',
    [
      { line: 2, record: { a: 'x"y,', b: "1\n2" } },
      { line: 4, record: { a: "3", b: "4" } },
    ],
  ],
  ["blank lines passed over", "a\n\n1\n\n", [{ line: 3, record: { a: "1" } }]],
  [
    "a header named like a prototype",
    "__proto__,a\n1,2\n",
    [
      {
        line: 2,
        record: Object.fromEntries([
          ["__proto__", "1"],
          ["a", "2"],
        ]),
      },
    ],
  ],
];

const broken: [name: string, text: string, line: number, column: string | null, error: RegExp][] = [
  ["too few cells", "a,b\n1\n3,4\n", 2, "b", /1 cells, the header 2/],
  ["too many cells", "a,b\n1,2,3\n3,4\n", 2, null, /3 cells, the header 2/],
  ["text behind a closing quote", 'a,b\n1,"x"y\n3,4\n', 2, "b", /behind the closing quote/],
  ["a quote inside a plain cell", 'a,b\n1,5"x\n3,4\n', 2, "b", /not quoted/],
  ["a quote never closed", 'a,b\n"1,2\n3,4\n', 2, null, /not closed/],
  ["a NUL byte", "a,b\n1,\u0000\n3,4\n", 2, "b", /NUL/],
];

describe("a CSV file", () => {
  it.each(good)("is read with %s", async (_name, text, wanted) => {
    expect(await rows(bytes(text))).toEqual(wanted);
  });

  it.each(broken)("loses only the row with %s", async (_name, text, line, column, error) => {
    const all = await rows(bytes(text));
    expect(all[0]).toEqual({ line, column, error: expect.stringMatching(error) });
    expect(all[1]).toEqual({ line: 3, record: { a: "3", b: "4" } });
    expect(all).toHaveLength(2);
  });

  it.each([
    ["", /empty/],
    ["a,a\n", /"a" is there twice/],
    ["a,,b\n", /column 2 has no name/],
    ["id;name\n1;2\n", /"mail" is missing.*separated by ";"/],
    ["id,name\n", /"mail" is missing; there are id, name/],
  ])("is refused whole when its header is %j", async (text, why) => {
    expect(await refusal(bytes(text), { required: ["mail"].filter(() => text.includes("id")) })).toMatch(why);
  });

  it("is refused with the line of a byte that is not UTF-8", async () => {
    const latin = Buffer.from("Müller", "latin1");
    expect(await refusal(bytes("name\nSchmidt\n", latin, "\n"))).toMatch(/^Line 3: the file is not UTF-8/);
  });

  it("is refused when it is UTF-16", async () => {
    expect(await refusal(bytes(Buffer.from("\ufeffname\nx\n", "utf16le")))).toMatch(/UTF-16/);
  });

  it("tells the names of its columns", async () => {
    expect(await csvHeader(bytes("a,b\n1,2\n"))).toEqual(["a", "b"]);
  });

  it("with a line of 200 MB is read in bounded memory, and only that line is lost", async () => {
    const block = Buffer.alloc(1024 * 1024, "x");
    async function* file() {
      yield Buffer.from("a,b\n1,2\n");
      for (let count = 0; count < 200; count++) yield block;
      yield Buffer.from("\n3,4\n");
    }
    const before = process.memoryUsage().rss;
    const all = await rows(file());
    expect(all.map((row) => ("error" in row ? row.line : row.record["a"]))).toEqual(["1", 3, "3"]);
    expect(all[1]).toMatchObject({ error: expect.stringMatching(/longer than 1048576 bytes/) });
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });

  it("whose quote is open over more than a row may be long goes on with the next line", async () => {
    const all = await rows(bytes('a,b\n"1,2\n', "3,4\n".repeat(100)), { row_max_bytes: 64 });
    expect(all).toHaveLength(101);
    expect(all[0]).toMatchObject({ line: 2, error: expect.stringMatching(/quote is not closed/) });
    expect(all[100]).toEqual({ line: 102, record: { a: "3", b: "4" } });
  });

  it("gives the same rows however its bytes are cut", async () => {
    const text = '\ufeffid,näme\r\n1,"ä""ö\n,x"\r\n2,€\r\n\r\n3,"é"z\r\n4,ok\r\n';
    const whole = await rows(bytes(text));
    const all = Buffer.from(text);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: all.length }), { maxLength: 12 }), async (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), all.length];
        const parts = at.slice(1).map((end, index) => all.subarray(at[index]!, end));
        expect(await rows(bytes(...parts))).toEqual(whole);
      }),
      { numRuns: 200 },
    );
  });

  it("gives back whatever was written as cells", async () => {
    const cell = fc
      .string({ unit: "binary", maxLength: 12 })
      .filter((text) => text === text.toWellFormed() && !text.includes("\0"));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(cell, cell), { maxLength: 8 }), async (cells) => {
        const rows_in = cells.map(([a, b]) => [`k${a}`, `k${b}`]);
        const text = csvRow(["a", "b"]) + rows_in.map((row) => csvRow(row)).join("");
        const read = await rows(bytes(text));
        expect(read.map((row) => ("record" in row ? [row.record["a"], row.record["b"]] : row))).toEqual(rows_in);
      }),
    );
  });
});

describe("a written cell", () => {
  it.each([
    ["=1+1", "'=1+1"],
    ["+49 30 1234", "'+49 30 1234"],
    ["-2+3", "'-2+3"],
    ["@SUM(A1)", "'@SUM(A1)"],
    [" =1", "' =1"],
    ["\t=1", `"'\t=1"`],
    ["＝1", "'＝1"],
    ['=HYPERLINK("http://x","y")', `"'=HYPERLINK(""http://x"",""y"")"`],
    ["-12", "-12"],
    ["a,b", '"a,b"'],
    ["plain", "plain"],
    ["", ""],
  ])("%j cannot run as a formula", (value, wanted) => {
    expect(csvCell(value)).toBe(wanted);
  });

  it.each([
    [null, ""],
    [undefined, ""],
    [-5, "-5"],
    [true, "true"],
  ])("%s is written plainly", (value, wanted) => {
    expect(csvCell(value)).toBe(wanted);
  });

  it.each(["'=1+1", "=1+1", "+49 30 1234", "''@x", "'plain", "-5", "'-5", "O'Neill"])(
    "%j is read back as it was",
    (value) => {
      const written = csvCell(value).replaceAll('"', "");
      expect(withoutGuard(written)).toBe(value);
    },
  );
});
