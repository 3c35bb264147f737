/**
 * Commands with parts (`tenure users add`): picks the part by its word, shows help for the whole or the part, and runs
 * it with a client. Every command file declares its parts with this.
 */
import { common, type Given, helpOf, readArgs, requireWords, type Usage } from "./args.ts";
import type { CommandFile } from "./cli.ts";
import { type Client, openClient } from "./client.ts";
import { CliError, exit_codes } from "./errors.ts";
import { print } from "./output.ts";

/** One part: its usage, how many words it takes, and what it does. Gives an exit code when it is not 0. */
export type Part = Readonly<{
  usage: Usage;
  least: number;
  most?: number;
  run(client: Client, given: Given, words: readonly string[]): Promise<number> | Promise<void>;
}>;

/** A command that has one use. */
export function command(part: Part): CommandFile {
  return { run: (args) => runPart(part, args) };
}

/** A command whose first word says which part; `standard` when there is none. */
export function commandOf(name: string, parts: Readonly<Record<string, Part>>, standard?: string): CommandFile {
  return {
    run: async (args) => {
      const [word, ...rest] = args;
      const asked = word === undefined || word.startsWith("-") ? standard : word;
      const part = asked !== undefined && Object.hasOwn(parts, asked) ? parts[asked] : undefined;
      if (word === "--help" || word === "-h" || (word === undefined && standard === undefined)) {
        print(overview(name, parts, standard));
        return word === undefined ? exit_codes.usage : exit_codes.done;
      }
      if (part === undefined) {
        throw new CliError(
          exit_codes.usage,
          `tenure ${name}: there is no "${word}"\n\n${overview(name, parts, standard)}`,
        );
      }
      return runPart(part, asked === word ? rest : args);
    },
  };
}

async function runPart(part: Part, args: readonly string[]): Promise<number> {
  const given = readArgs(part.usage, args);
  if (given.flag("help")) {
    print(helpOf(part.usage));
    return exit_codes.done;
  }
  const words = requireWords(part.usage, given.words, part.least, part.most ?? part.least);
  return (await part.run(openClient(given), given, words)) ?? exit_codes.done;
}

function overview(name: string, parts: Readonly<Record<string, Part>>, standard: string | undefined): string {
  const lines = Object.entries(parts).map(([word, { usage }]) => {
    const [summary = ""] = usage.summary.split(/(?<=[.:])\s|\n/);
    return `  ${`${word} ${usage.words}`.trim().padEnd(38)} ${summary}${word === standard ? " (the default)" : ""}`;
  });
  return [
    `Usage: tenure ${name} PART`,
    "",
    ...lines,
    "",
    `tenure ${name} PART --help tells more. Everywhere: --${Object.keys(common).join(", --")}.`,
  ].join("\n");
}

/** A moment given to an option: a day (its end), a date-time, or a length such as 90m, 8h, 30d, 2w. */
export function momentOf(given: Given, name: string, now = new Date()): string | undefined {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const length = /^(\d{1,6})([mhdw])$/.exec(text);
  if (length) {
    const unit_ms = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }[length[2] ?? "d"] ?? 0;
    return new Date(now.getTime() + Number(length[1]) * unit_ms).toISOString();
  }
  const at = /^\d{4}-\d{2}-\d{2}$/.test(text) ? new Date(`${text}T23:59:59Z`) : new Date(text);
  if (!Number.isNaN(at.getTime()) && /^\d{4}-\d{2}-\d{2}/.test(text)) return at.toISOString();
  throw new CliError(
    exit_codes.usage,
    `--${name}: "${text}" is no day (2026-05-01), time (2026-05-01T17:00:00Z) or length (90m, 8h, 30d, 2w)`,
  );
}

/** `name=value` pairs; a value that is JSON (true, 12, ["a"]) is taken as such. Empty: null, which clears. */
export function pairsOf(texts: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      if (at < 1) throw new CliError(exit_codes.usage, `"${text}" is no NAME=VALUE`);
      return [text.slice(0, at), readValue(text.slice(at + 1))];
    }),
  );
}

function readValue(text: string): unknown {
  if (text === "") return null;
  if (!/^(true|false|-?\d+(\.\d+)?|\[.*\]|\{.*\})$/s.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
