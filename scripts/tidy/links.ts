/** Rule: a relative link in a Markdown file leads to a file or folder of the repository. */
import path from "node:path";
import type { Problem } from "./source.ts";

/** @param paths every file and folder of the repository, from its root. */
export function checkLinks(file: string, text: string, paths: ReadonlySet<string>): Problem[] {
  const prose = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, blank).replace(/`[^`\n]*`/g, blank);
  const links = [
    ...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g),
    ...prose.matchAll(/^[ \t]*\[[^\]]+\]:\s+(\S+)/gm),
  ];
  return links.flatMap((match) => {
    const target = match[1] ?? "";
    if (/^(?:[a-z][a-z0-9+.-]*:|#|\/\/)/i.test(target)) return [];
    const name = decodeURIComponent(target.split(/[#?]/)[0] ?? "");
    const full = path.posix.join(name.startsWith("/") ? "." : path.posix.dirname(file), name).replace(/\/$/, "");
    if (full === "." || paths.has(full)) return [];
    const line = prose.slice(0, match.index).split("\n").length;
    return [{ path: file, line, what: `links to ${target}, which does not exist: mend the link` }];
  });
}

const blank = (text: string) => text.replace(/[^\n]/g, " ");
