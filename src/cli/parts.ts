/**
 * Commands with parts (`tenure users add`): picks the part by its word, shows help for the whole or the part, and runs
 * it with a client. Every command file declares its parts with this.
 */
import { nearest } from "../core/expression/suggest.ts";
import { common, type Given, helpOf, readArgs, requireWords, type Usage } from "./args.ts";
import type { CommandFile } from "./cli.ts";
import { type Client, openClient, type Query } from "./client.ts";
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
        const hint = didYouMean(word ?? "", Object.keys(parts));
        throw new CliError(
          exit_codes.usage,
          `tenure ${name}: there is no "${word}"${hint}\n\n${overview(name, parts, standard)}`,
        );
      }
      return runPart(part, asked === word ? rest : args);
    },
  };
}

/** ": did you mean X?", or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === null ? "" : `: did you mean ${near}?`;
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
    const summary = (usage.summary.split(/(?<=[.:])\s|\n/)[0] ?? "").replace(/[:,]$/, ".");
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

/** How many at most (`--limit`). @throws CliError for what is no whole number above 0. */
function limitOf(given: Given, standard: number): number {
  const text = given.text("limit");
  if (text === undefined) return standard;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new CliError(exit_codes.usage, `--limit takes a whole number above 0, not "${text}"`);
}

/**
 * The first things of a list, as many as `--limit` says. Where there are more, stderr says so: who counts the lines must not
 * take them for all. `page_max`: what the server gives at once.
 */
export async function listed<T>(
  client: Client,
  given: Given,
  path: string,
  { query = {}, standard, page_max = 1_000 }: Readonly<{ query?: Query; standard: number; page_max?: number }>,
): Promise<readonly T[]> {
  const limit = limitOf(given, standard);
  const found = await client.all<T>(path, { ...query, limit: Math.min(limit + 1, page_max) }, limit + 1);
  if (found.length > limit) process.stderr.write(`${limit} are shown, and there are more: --limit N shows as many\n`);
  return found.slice(0, limit);
}

/** An option without which the command makes no sense. @throws CliError naming it, with its help. */
export function required({ name, options }: Usage, given: Given, option: string): string {
  const text = given.text(option);
  if (text !== undefined && text !== "") return text;
  const { value, help } = options[option] ?? { value: "", help: "" };
  throw new CliError(exit_codes.usage, `tenure ${name}: --${option} ${value} is missing: ${help}`);
}

/** The option by which a command that concerns many is told to go on. */
export const yes_option = { yes: { help: "Do it, also when it concerns many" } };
/** Up to so many nobody is asked. */
const many = 10;

/** @throws CliError telling what would happen, when it concerns many and nobody has said --yes. */
export function requireYes(given: Given, concerned: number, what: string): void {
  if (concerned <= many || given.flag("yes")) return;
  throw new CliError(exit_codes.refused, `${what}. Nothing was done: say --yes if that is what you want`);
}

/** A moment given to an option: a day (its end), a date-time, or a length such as 90m, 8h, 30d, 2w. */
export function momentOf(given: Given, name: string, now = new Date()): string | undefined {
  const text = given.text(name);
  return text === undefined ? undefined : readMoment(name, text, now, { ahead: 1, of_day: "T23:59:59Z" });
}

/** The same, looking back: a day is its beginning, and a length counts from now backwards. */
export function pastOf(given: Given, name: string, now = new Date()): string | undefined {
  const text = given.text(name);
  return text === undefined ? undefined : readMoment(name, text, now, { ahead: -1, of_day: "T00:00:00Z" });
}

function readMoment(name: string, text: string, now: Date, way: Readonly<{ ahead: 1 | -1; of_day: string }>): string {
  const length = /^(\d{1,6})([mhdw])$/.exec(text);
  if (length) {
    const unit_ms = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }[length[2] ?? "d"] ?? 0;
    return new Date(now.getTime() + way.ahead * Number(length[1]) * unit_ms).toISOString();
  }
  // Without a zone it is UTC, as a day is: the same command means the same wherever it is typed.
  const zone = /(?:z|[+-]\d{2}:?\d{2})$/i.test(text) ? "" : "Z";
  const at = new Date(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}${way.of_day}` : `${text}${zone}`);
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
