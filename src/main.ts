/**
 * Where everything is wired: `node src/main.ts COMMAND ARGS`, or `tenure COMMAND ARGS`. `serve` starts a node in this
 * process and `demo` plays a story with one; every other command is a client of a server's API (cli/).
 */
import process from "node:process";
import { CliError } from "./cli/errors.ts";

async function main([command, ...args]: readonly string[]): Promise<number> {
  if (command === "serve") return (await import("./main/command.ts")).serveCommand(args);
  if (command === "demo") {
    // The invented company is not part of a production install.
    const { demo } = (await import(new URL("../demo/demo.ts", import.meta.url).href)) as {
      demo(args: readonly string[]): Promise<number>;
    };
    return demo(args);
  }
  return (await import("./cli/cli.ts")).cli(command, args);
}

// Whoever reads our output may stop reading (`tenure log | head`); that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CliError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exit_code;
}
