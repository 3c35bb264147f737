/** The list of commands: `tenure COMMAND ARGS` finds its command here and loads only that one's file. */
import { CliError, exit_codes } from "./errors.ts";
import { print } from "./output.ts";

/** A command's own file: gives the exit code. */
export type CommandFile = Readonly<{ run(args: readonly string[]): Promise<number> }>;

const commands: Readonly<Record<string, Readonly<{ summary: string; load?: () => Promise<CommandFile> }>>> = {
  serve: { summary: "Start a node: API server and engine" },
  demo: { summary: "Play a story of an invented company" },
};

/** Runs a command of the CLI. */
export async function cli(name: string | undefined, args: readonly string[]): Promise<number> {
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    print(help());
    return name === undefined ? exit_codes.usage : exit_codes.done;
  }
  const found = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (found?.load === undefined) throw new CliError(exit_codes.usage, `there is no command "${name}"\n\n${help()}`);
  return (await found.load()).run(args);
}

function help(): string {
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`);
  return ["Usage: tenure COMMAND [ARGS]", "", ...lines, "", "tenure COMMAND --help tells more."].join("\n");
}
