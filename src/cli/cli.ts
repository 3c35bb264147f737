/** The list of commands: `tenure COMMAND ARGS` finds its command here and loads only that one's file. */
import { readFileSync } from "node:fs";
import { CliError, exit_codes } from "./errors.ts";
import { print } from "./output.ts";
import { didYouMean } from "./parts.ts";

/** A command's own file: gives the exit code. */
export type CommandFile = Readonly<{ run(args: readonly string[]): Promise<number> }>;

const commands: Readonly<Record<string, Readonly<{ summary: string; load?: () => Promise<CommandFile> }>>> = {
  serve: { summary: "Start a node: API server and engine" },
  demo: { summary: "Play a story of an invented company" },
  import: { summary: "Read people from a source: a file, HR, an app", load: () => import("./import.ts") },
  imports: { summary: "What was read from sources, and what became of it", load: () => import("./imports.ts") },
  waiting: { summary: "Rows of a source that wait for a person", load: () => import("./waiting.ts") },
  users: { summary: "People, and what happens to them", load: () => import("./users.ts") },
  groups: { summary: "Groups and who is in them", load: () => import("./groups.ts") },
  rules: { summary: "Conditions that fill groups", load: () => import("./rules.ts") },
  apps: { summary: "Connect apps and look after them", load: () => import("./apps.ts") },
  assign: { summary: "Give an app to people or groups", load: () => import("./assign.ts") },
  unassign: { summary: "Take an app away", load: () => import("./unassign.ts") },
  plan: { summary: "What would be done for a person now, and why", load: () => import("./plan.ts") },
  explain: { summary: "Why an account is as it is", load: () => import("./explain.ts") },
  past: { summary: "Who had what on a past day, and why", load: () => import("./past.ts") },
  tasks: { summary: "What a person must do or decide", load: () => import("./tasks.ts") },
  hooks: { summary: "Event hooks: how they stand, and telling them again", load: () => import("./hooks.ts") },
  log: { summary: "What happened, and what happens", load: () => import("./log.ts") },
  status: { summary: "How everything stands", load: () => import("./status.ts") },
  "okta-env": { summary: "Point Okta's own clients at this server", load: () => import("./oktaEnv.ts") },
  "okta-import": { summary: "Move an Okta organisation here", load: () => import("./oktaImport.ts") },
  "okta-coverage": { summary: "Which of Okta's endpoints are called here", load: () => import("./oktaCoverage.ts") },
  token: { summary: "API tokens", load: () => import("./token.ts") },
};

/** Runs a command of the CLI. */
export async function cli(name: string | undefined, args: readonly string[]): Promise<number> {
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    print(help());
    return name === undefined ? exit_codes.usage : exit_codes.done;
  }
  if (name === "--version" || name === "-V" || name === "version") {
    print(`tenure ${version()}`);
    return exit_codes.done;
  }
  const found = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (found?.load === undefined) {
    const hint = didYouMean(name, Object.keys(commands));
    throw new CliError(exit_codes.usage, `there is no command "${name}"${hint}\n\n${help()}`);
  }
  return (await found.load()).run(args);
}

function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

function help(): string {
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(14)} ${summary}`);
  return [
    "Usage: tenure COMMAND [ARGS]",
    "",
    ...lines,
    "",
    "tenure COMMAND --help tells more; tenure --version tells which this is.",
  ].join("\n");
}
