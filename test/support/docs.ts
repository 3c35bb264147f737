/** The commands that a page shows, as its readers would type them. */
import { readFileSync } from "node:fs";
import path from "node:path";

const root = path.join(import.meta.dirname, "../..");

/** The lines with `tenure` in a page's blocks of a kind (`sh`; "" for none), without what stands before it. */
export const commandsOf = (page: string, fence: string): readonly string[] =>
  [...readFileSync(path.join(root, page), "utf8").matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)]
    .flatMap(([, kind, block = ""]) => (kind === fence ? block.split("\n") : []))
    .map((line) => line.replace(/^npx /, ""))
    .filter((line) => line.startsWith("tenure "));

/** A line as a shell takes it apart: quotes keep words together, also in the middle of one. */
export function words(line: string): string[] {
  return [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double),
  );
}
