/** The commands that a page shows, as its readers would type them. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect } from "vitest";
import type { TestNode } from "./node.ts";

const root = path.join(import.meta.dirname, "../..");

/** A page's blocks of a kind (`sh`; "" for none), as they stand there. */
export const blocksOf = (page: string, fence: string): readonly string[] =>
  [...readFileSync(path.join(root, page), "utf8").matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)].flatMap(
    ([, kind, block = ""]) => (kind === fence ? [block] : []),
  );

/** The lines with `tenure` in a page's blocks of a kind (`sh`; "" for none), without what stands before it. */
export const commandsOf = (page: string, fence: string): readonly string[] =>
  blocksOf(page, fence)
    .flatMap((block) => block.split("\n"))
    .map((line) => line.replace(/^npx /, ""))
    .filter((line) => line.startsWith("tenure "));

/** A line as a shell takes it apart: quotes keep words together, also in the middle of one. */
function words(line: string): string[] {
  return [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double),
  );
}

/** Runs such lines in order; each must end as it says (`# exit 4`), else with 0. */
export async function runAll(node: Pick<TestNode, "cli">, lines: readonly string[]): Promise<void> {
  for (const line of lines) {
    const [command = "", ending] = line.split(/\s+# exit /);
    const ran = await node.cli(...words(command.replace(/\s+#.*$/, "")).slice(1));
    expect(ran.code, `${command}\n${ran.out}${ran.err}`).toBe(Number(ending ?? 0));
  }
}
