/** The repository's rules, each with a small breach that it must find and a neighbour that it must leave alone. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { pairBrackets, readSource } from "../../scripts/tidy/source.ts";
import { tidy } from "../../scripts/tidy.ts";

/** What tidy says about one file, in a repository where it is imported, as `line: what`. */
function judge(file: string, text: string): string[] {
  const user = `${path.posix.relative("src", file)}`;
  const files = new Map([
    ["src/main.ts", `import "./${user}";`],
    [file, text],
  ]);
  return tidy(files)
    .filter((problem) => problem.path === file)
    .map(({ line, what }) => `${line}: ${what}`);
}

const lines = (count: number, text = "  x();") => `${text}\n`.repeat(count);

describe("import order", () => {
  it.each([
    ["src/core/plan.ts", "../store/database.ts", /core may import only itself/],
    ["src/core/plan.ts", "zod", /the core is pure/],
    ["src/core/plan.ts", "node:crypto", /the core is pure/],
    ["src/connectors/scim/connector.ts", "../../store/secrets.ts", /connectors may import only core, itself/],
    ["src/store/log.ts", "../connectors/connector.ts", /store may import only core/],
    ["src/directory/users.ts", "../connectors/registry.ts", /directory may import only core, store/],
    ["src/directory/users.ts", "pg", /only src\/store knows our database driver/],
    ["src/engine/loop.ts", "../server/http.ts", /engine may import only core, store, directory, connectors/],
    [
      "src/server/okta/users.ts",
      "../../connectors/registry.ts",
      /server may import only core, store, directory, engine/,
    ],
    ["src/server/okta/users.ts", "../../main.ts", /wires everything together/],
    ["src/cli/users.ts", "../directory/users.ts", /cli may import only core/],
    ["src/engine/loop.ts", "../../test/support/clock.ts", /outside src/],
    ["src/odds/ends.ts", "../core/types.ts", /no place in the import order/],
  ])("%s may not import %s", (file, target, message) => {
    expect(judge(file, `import { x } from "${target}";`)).toEqual([expect.stringMatching(message)]);
    expect(judge(file, `import type { X } from "${target}";`)).toEqual([expect.stringMatching(message)]);
    expect(judge(file, `\nexport { x } from "${target}";`)).toEqual([expect.stringMatching(/^2: /)]);
    expect(judge(file, `const x = () => import("${target}");`)).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    ["src/core/plan.ts", "./types.ts"],
    ["src/connectors/sql/connector.ts", "pg"],
    ["src/engine/loop.ts", "../connectors/registry.ts"],
    ["src/server/okta/users.ts", "../../engine/run.ts"],
    ["src/cli/serve.ts", "../main.ts"],
    ["src/cli/users.ts", "./client.ts"],
    ["src/cli/users.ts", "node:fs"],
    ["src/main/world.ts", "../server/server.ts"],
    ["src/core/plan.test.ts", "vitest"],
  ])("%s may import %s", (file, target) => {
    expect(judge(file, `import { x } from "${target}";`)).toEqual([]);
  });

  it("is not misled by an import in a comment or a string", () => {
    const text = `// import { x } from "../store/x.ts";\nexport const text = 'import x from "../store/x.ts"';`;
    expect(judge("src/core/plan.ts", text)).toEqual([]);
  });
});

describe("purity", () => {
  it.each([
    "Date.now()",
    "new Date()",
    "Math.random()",
    "performance.now()",
    "crypto.randomUUID()",
    "randomBytes(4)",
    "setTimeout(f, 1)",
  ])("neither core nor engine may call %s", (call) => {
    expect(judge("src/core/plan.ts", `export const x = () => ${call};`)).toHaveLength(1);
    expect(judge("src/engine/claim.ts", `export const x = () => ${call};`)).toHaveLength(1);
    expect(judge("src/store/log.ts", `export const x = () => ${call};`)).toEqual([]);
    expect(judge("src/core/plan.ts", `// not ${call}\nexport const x = "${call}";`)).toEqual([]);
  });

  it("the core does not wait or reach out either", () => {
    expect(
      judge("src/core/plan.ts", "export async function x() { await y(); fetch(z); process.exit(); }"),
    ).toHaveLength(4);
    expect(judge("src/engine/claim.ts", "export async function x() { await y(); }")).toEqual([]);
  });

  it("a given date is a value, and the loop may wait", () => {
    expect(judge("src/core/plan.ts", "export const x = (at: string) => new Date(at);")).toEqual([]);
    expect(judge("src/engine/loop.ts", "export const x = () => setTimeout(f, 1);")).toEqual([]);
    expect(judge("src/engine/loop.ts", "export const x = () => Date.now();")).toHaveLength(1);
  });
});

describe("lengths", () => {
  it("a file has at most 500 lines", () => {
    expect(judge("src/store/log.ts", lines(500))).toEqual([]);
    expect(judge("src/store/log.ts", lines(501))).toEqual([expect.stringMatching(/^1: 501 lines/)]);
  });

  it.each([
    ["a declaration", "export function long(a: string) {", "}", "long"],
    [
      "an async one with an object as its type",
      "async function long<T extends { a: 1 }>(a: T): Promise<{ b: T }> {",
      "}",
      "long",
    ],
    ["one whose type is a union", 'function long(a = {}): a is "x" | { b: [1] } | undefined {', "}", "long"],
    ["one that returns a function", "function long(): (a: string) => void {", "}", "long"],
    ["an arrow function", "const long = async (a: string): Promise<void> => {", "};", "long"],
    ["an argument", "call(1, (a) => {", "});", "an arrow function"],
    ["a method", "class A { private long(): void {", "} }", "long"],
    ["a getter in an object", "const a = { get long() {", "} };", "long"],
    ["a function expression", "const a = function () {", "};", "a function"],
  ])("%s has at most 70", (_, head, tail, name) => {
    expect(judge("src/store/log.ts", `\n${head}\n${lines(68)}${tail}`)).toEqual([]);
    const found = judge("src/store/log.ts", `\n${head}\n${lines(69)}${tail}`);
    expect(found).toEqual([expect.stringMatching(new RegExp(`^2: ${name} has 71 lines`))]);
  });

  it("data, types and test groups are no functions, nor is what follows a condition", () => {
    const long = lines(80, "  a,");
    expect(judge("src/store/log.ts", `const a = {\n${long}};\ntype B = {\n${long}};`)).toEqual([]);
    expect(judge("src/store/log.ts", `if (a) {\n${lines(80)}} else if (b(c)) {\n${lines(80)}}`)).toEqual([]);
    expect(judge("src/store/log.ts", `const a = b ? f(c) : {\n${long}};`)).toEqual([]);
    expect(judge("test/a.test.ts", `describe.runIf(f(1, (g)))("…", () => {\n${lines(80)}});`)).toEqual([]);
    expect(judge("test/a.test.ts", `it("…", () => {\n${lines(80)}});`)).toHaveLength(1);
  });
});

describe("names", () => {
  it.each([
    ["src/store/log.ts", "export class LogManager {}", true],
    ["src/store/log.ts", "export const queryUtils = {};", true],
    ["src/store/log.ts", "export async function errorHandler() {}", true],
    ["src/store/requestHelper.ts", "", true],
    ["src/store/utils.ts", "", true],
    ["src/store/log.ts", "app.setErrorHandler(f);", false],
    ["src/store/log.ts", "export function managerOf() {}", false],
    ["src/store/log.ts", "const handler = 1;", false],
  ])("%s with %j: refused %s", (file, text, refused) => {
    expect(judge(file, text)).toHaveLength(refused ? 1 : 0);
  });
});

describe("leftovers", () => {
  const todo = "TO" + "DO";
  it.each([
    ["src/store/log.ts", "console.log(1);", /use the log/],
    ["src/store/log.ts", "debugger;", /remove it/],
    ["src/store/log.ts", "f(a as any);", /say the type/],
    ["src/store/log.ts", `// ${todo}: later`, /do it/],
    ["test/a.test.ts", `/* ${"FIX" + "ME"} */`, /do it/],
    ["src/store/log.ts", `// ${"@ts-"}ignore`, /mend the type/],
    ["test/a.test.ts", 'it.only("…", f);', /every test runs/],
    ["test/a.test.ts", 'describe.skip("…", f);', /every test runs/],
    ["test/a.test.ts", 'it.concurrent.todo("…");', /every test runs/],
  ])("in %s: %s", (file, text, message) => {
    expect(judge(file, text)).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    ["src/cli/users.ts", "console.log(1);"],
    ["src/main.ts", "console.error(1);"],
    ["scripts/x.ts", "console.log(1);"],
    ["src/store/log.ts", `f("${todo}");`],
    ["test/a.test.ts", 'it.runIf(x)("…", f); it.skipIf(x)("…", f); list.only;'],
  ])("not in %s: %s", (file, text) => {
    expect(judge(file, text)).toEqual([]);
  });
});

describe("dead files", () => {
  const dead = (files: Record<string, string>) =>
    tidy(new Map(Object.entries({ "src/main.ts": "", ...files }))).map((problem) => problem.path);

  it("a file of src that nobody imports is found; one that imports itself too", () => {
    expect(dead({ "src/store/log.ts": "" })).toEqual(["src/store/log.ts"]);
    expect(dead({ "src/store/log.ts": 'import "./log.ts";' })).toEqual(["src/store/log.ts"]);
  });

  it("a file is alive through an import, a test, or a worker's address", () => {
    expect(dead({ "src/store/log.ts": "", "src/store/a.test.ts": 'import { x } from "./log.ts";' })).toEqual([]);
    expect(dead({ "src/store/log.ts": "", "bench/a.ts": 'new URL("../src/store/log.ts", import.meta.url)' })).toEqual(
      [],
    );
  });
});

describe("links", () => {
  const text = [
    "[good](docs/a.md#part), [folder](docs/), [web](https://example.com/x), [here](#top), ![image](docs/a%20b.png)",
    "[bad](docs/gone.md)",
    "```",
    "[in code](gone.md)",
    "```",
    "`[in code](gone.md)`",
    "[named]: gone.md",
  ].join("\n");

  it("of Markdown files lead to something, outside of code", () => {
    const files = new Map([
      ["README.md", text],
      ["docs/a.md", "[up](../README.md) [bad](README.md)"],
    ]);
    expect(tidy(files, ["docs/a b.png"]).map(({ path: file, line }) => `${file}:${line}`)).toEqual([
      "README.md:2",
      "README.md:7",
      "docs/a.md:1",
    ]);
  });
});

describe("the reader of sources", () => {
  it("tells code from comments, strings, templates and regular expressions, in place", () => {
    const cases: [string, string][] = [
      ["a /* { */ + '}' // }", "a         + ' '     "],
      ["`x{$" + "{f({ b: `}` })}y}` / 2", "` (f({ b: ` ` })) ` / 2"],
      ["a / b / /[/{]\\//g", "a / b /           "],
      ["return /{/; x = a[1] / 2", "return    ; x = a[1] / 2"],
    ];
    for (const [text, code] of cases) {
      const source = readSource("a.ts", text);
      expect(source.code).toHaveLength(text.length);
      expect(source.code.replace(/\s+/g, " ").trim()).toBe(code.replace(/\s+/g, " ").trim());
    }
    expect(readSource("a.ts", "a /* { */ + '//' // }").comments.trim()).toBe("/* { */        // }");
  });

  it("finds the brackets of every source of this repository in pairs", () => {
    const root = path.resolve(import.meta.dirname, "../..");
    for (const folder of ["src", "test", "scripts", "bin"]) {
      for (const file of readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })) {
        if (!/\.[tj]s$/.test(file) || file.includes("node_modules")) continue;
        const { code } = readSource(file, readFileSync(path.join(root, folder, file), "utf8"));
        const count = [...code].filter((c) => "([{}])".includes(c)).length;
        expect(pairBrackets(code).partner.size, file).toBe(count);
      }
    }
  });
});
