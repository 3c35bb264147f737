/** The reference page lists every function as it is declared: its form, what it does, and whether SQL can say it. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { functions } from "../../../src/core/expression/functions/catalogue.ts";
import type { FunctionDeclaration } from "../../../src/core/expression/functions/declaration.ts";
import { methods } from "../../../src/core/expression/functions/methods.ts";

const page = readFileSync(new URL("../../../docs/expressions.md", import.meta.url), "utf8");

/** The row of a function in the page's tables. */
export function row(declaration: FunctionDeclaration): string {
  const { parameters, optional = 0, rest = [], name, summary, example, sql } = declaration;
  const required = parameters.slice(0, parameters.length - optional).map((parameter) => parameter.name);
  const more = parameters.slice(parameters.length - optional).map((parameter) => `[${parameter.name}]`);
  const turns = rest.length === 0 ? [] : [rest.map((parameter) => parameter.name).join(", "), "…"];
  const form = `${name}(${[...required, ...more, ...turns].join(", ")})`;
  const cells = [`\`${form}\``, summary, `\`${example[0]}\` → \`${JSON.stringify(example[1])}\``, sql ? "yes" : "no"];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

test.each([...functions.values()])("docs/expressions.md lists $name", (declaration) => {
  expect(page).toContain(row(declaration));
});

test("docs/expressions.md lists every method", () => {
  for (const name of methods.keys()) expect(page).toContain(`.${name}(`);
});
