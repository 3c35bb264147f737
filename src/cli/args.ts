/**
 * What a command accepts: its words and options, read with node:util's parseArgs, and the help made from the same
 * declaration, so that the two cannot differ.
 */
import { parseArgs } from "node:util";
import { CliError, exit_codes } from "./errors.ts";

/** One option. `value`: what stands for its value in the help; without it the option is a switch. */
export type Option = Readonly<{ help: string; value?: string; short?: string; many?: boolean }>;

export type Options = Readonly<Record<string, Option>>;

/** A command or one of its parts. `words`: what stands after its name, as in "USER [APP]". */
export type Usage = Readonly<{ name: string; words: string; summary: string; options: Options }>;

/** What was given: words in order, options by name. */
export type Given = Readonly<{
  words: readonly string[];
  /** The option's value, or undefined when it was not given. */
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  flag(name: string): boolean;
}>;

/** Options that every command has. */
export const common: Options = {
  url: { value: "URL", help: "The server (else TENURE_URL, else the one started from the data folder)" },
  token: { value: "TOKEN", help: "API token (else TENURE_TOKEN, else the data folder's admin.token)" },
  data: { value: "FOLDER", help: "Data folder (else TENURE_DATA, else ./tenure-data)" },
  json: { help: "Print JSON" },
  help: { help: "Show this help", short: "h" },
};

/** Reads the arguments of a command. @throws CliError (wrong usage) naming what is not understood. */
export function readArgs(usage: Usage, args: readonly string[]): Given {
  const options = { ...usage.options, ...common };
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { value, short, many }]) => [
      name,
      {
        type: value === undefined ? ("boolean" as const) : ("string" as const),
        multiple: many ?? false,
        ...(short ? { short } : {}),
      },
    ]),
  );
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: config,
      allowPositionals: true,
      strict: true,
    });
    const given = new Map(Object.entries(values));
    const texts = (name: string) => [given.get(name) ?? []].flat().map(String);
    return {
      words: positionals,
      text: (name) => texts(name).at(-1),
      texts,
      flag: (name) => given.get(name) === true,
    };
  } catch (error) {
    const [reason = ""] = (error as Error).message.split(". ");
    throw new CliError(exit_codes.usage, `${reason}\n\n${helpOf(usage)}`);
  }
}

/** The words of a command by position. @throws CliError when there are too few or too many. */
export function requireWords(usage: Usage, words: readonly string[], least: number, most = least): readonly string[] {
  if (words.length >= least && words.length <= most) return words;
  const missing = usage.words.split(" ")[words.length]?.replace(/\.\.\.$/, "") ?? "something";
  const what = words.length < least ? `${missing} is missing` : `"${words[most]}" is too much`;
  throw new CliError(exit_codes.usage, `tenure ${usage.name}: ${what}\n\n${helpOf(usage)}`);
}

/** The help of one command. */
export function helpOf({ name, words, summary, options }: Usage): string {
  const lines = (some: Options) =>
    Object.entries(some).map(([option, { value, short, help }]) => {
      const spelled = `${short ? `-${short}, ` : ""}--${option}${value === undefined ? "" : ` ${value}`}`;
      return `  ${spelled.padEnd(26)} ${help}`;
    });
  const own = lines(options);
  return [
    `Usage: tenure ${name}${words === "" ? "" : ` ${words}`}`,
    "",
    summary,
    "",
    ...(own.length === 0 ? [] : ["Options:", ...own, ""]),
    "Everywhere:",
    ...lines(common),
  ].join("\n");
}
