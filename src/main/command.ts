/** `tenure serve`: reads its options, starts a node, and stays until it is told to stop. */
import { type Given, helpOf, readArgs, requireWords, type Usage } from "../cli/args.ts";
import { dataFolder } from "../cli/client.ts";
import { CliError, exit_codes } from "../cli/errors.ts";
import { standard_login } from "./firstAdmin.ts";
import { type Node, type ServeOptions, startNode, token_file } from "./serve.ts";

const usage: Usage = {
  name: "serve",
  words: "",
  summary: `Starts a node: API server and engine over one PostgreSQL. Without DATABASE_URL it brings its own database,
kept in the data folder. Any number of nodes may share one DATABASE_URL. Environment: DATABASE_URL, TENURE_DATA,
TENURE_KEY (32 bytes, seals credentials; else a file in the data folder), TENURE_BASE_URL.`,
  options: {
    port: { value: "PORT", help: "Port of the API (4780; 0: any free one)" },
    host: { value: "HOST", help: "Address to listen on; without it only this machine is served" },
    "base-url": { value: "URL", help: "What links in answers begin with, behind a proxy (TENURE_BASE_URL)" },
    "no-engine": { help: "Serve the API only" },
    "no-server": { help: "Run the engine only" },
    "allow-private": { help: "Let connectors reach private and loopback addresses" },
    "allow-clock": { help: "Let the clock be moved over the API (demo only)" },
    "rate-limit": { value: "N", help: "Requests per token and minute (60000; 0: no limit)" },
    "admin-login": {
      value: "LOGIN",
      help: `Login of the first administrator of a new installation (${standard_login})`,
    },
    throwaway: { help: "Do not wait for the disk: a crash of the machine loses data (tests, demos)" },
    quiet: { help: "Print nothing but errors", short: "q" },
  },
};

/** Runs the command; resolves with the exit code when the node has stopped. */
export async function serveCommand(args: readonly string[]): Promise<number> {
  const given = readArgs(usage, args);
  if (given.flag("help")) {
    process.stdout.write(`${helpOf(usage)}\n`);
    return exit_codes.done;
  }
  requireWords(usage, given.words, 0);
  const log = (line: string) => void process.stderr.write(`${new Date().toISOString()} ${line}\n`);
  const options = optionsOf(given);
  const node = await startNode({ ...options, log }).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(exit_codes.failed, whyNotStarted(error, options));
  });
  const ended = untilStopped(node, log);
  if (node.url !== undefined && !given.flag("quiet"))
    process.stdout.write(`Tenure listens on ${node.url} (API: /api/v1, /admin/v1; docs: /docs)\n`);
  try {
    const { token } = await node.ready;
    if (!given.flag("quiet")) {
      if (token !== undefined)
        process.stdout.write(`First API token (shown once, also in ${dataFolder(given)}/${token_file}): ${token}\n`);
      process.stdout.write("Ready.\n");
    }
  } catch (error) {
    if ((error as Error).name !== "AbortError") {
      log(`cannot start: ${(error as Error).message}`);
      await node.stop();
      return exit_codes.failed;
    }
  }
  await ended;
  return exit_codes.done;
}

function optionsOf(given: Given): ServeOptions {
  const host = given.text("host");
  const admin_login = given.text("admin-login");
  const base_url = given.text("base-url") ?? process.env["TENURE_BASE_URL"];
  const database_url = process.env["DATABASE_URL"];
  if (base_url !== undefined && !/^https?:\/\/[^/]+/.test(base_url)) {
    throw new CliError(exit_codes.usage, `--base-url ${base_url} is no http(s) address`);
  }
  return {
    data_folder: dataFolder(given),
    port: numberOf(given, "port", 0, 65_535) ?? 4780,
    engine: !given.flag("no-engine"),
    server: !given.flag("no-server"),
    allow_private: given.flag("allow-private"),
    allow_clock: given.flag("allow-clock"),
    throwaway: given.flag("throwaway"),
    ...(host === undefined ? {} : { host }),
    ...(admin_login === undefined ? {} : { admin_login }),
    ...(base_url === undefined ? {} : { base_url: base_url.replace(/\/+$/, "") }),
    ...(database_url === undefined || database_url === "" ? {} : { database_url: requireDatabaseUrl(database_url) }),
    ...optional("rate_limit", numberOf(given, "rate-limit", 0, 1_000_000_000)),
  };
}

/** One line that says what to do. */
function whyNotStarted(error: NodeJS.ErrnoException, { port, host, data_folder }: ServeOptions): string {
  switch (error.code) {
    case "EADDRINUSE":
      return `port ${port} is in use: stop what listens there, or choose another with --port (0: any free one)`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `--host ${host} is no address of this machine: use one it has, 0.0.0.0 for all, or leave it out`;
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return error.syscall === "listen"
        ? `port ${port} may not be used by this user: choose one above 1023 with --port`
        : `${error.path ?? data_folder} cannot be used (${error.code}): choose another data folder with --data`;
    default:
      return error.message;
  }
}

/** @throws CliError for what cannot be the address of a PostgreSQL; waiting for it would never end. */
function requireDatabaseUrl(text: string): string {
  const url = URL.parse(text);
  if (url !== null && /^(postgres|postgresql|socket):$/.test(url.protocol)) return text;
  throw new CliError(
    exit_codes.failed,
    "DATABASE_URL is no PostgreSQL address: give one such as postgres://user:password@host:5432/tenure, or unset it for the built-in database",
  );
}

const optional = (name: string, value: number | undefined) => (value === undefined ? {} : { [name]: value });

function numberOf(given: Given, name: string, least: number, most: number): number | undefined {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new CliError(exit_codes.usage, `--${name} takes a whole number from ${least} to ${most}, not "${text}"`);
}

/** Resolves after the first SIGTERM or SIGINT has stopped the node; a second one ends the process at once. */
function untilStopped(node: Node, log: (line: string) => void): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = (signal: string) => {
      if (asked) process.exit(130);
      asked = true;
      log(`${signal}: stopping (calls under way are finished; once more ends at once)`);
      node.stop().then(resolve, (error: Error) => {
        log(`while stopping: ${error.message}`);
        resolve();
      });
    };
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
  });
}
