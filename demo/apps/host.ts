/**
 * What every example app does besides being an app: it reads its options, listens on the loopback address, says where
 * in one JSON line, and ends when whoever started it ends.
 *
 *     node demo/apps/NAME.ts --port 0 [--token TEXT]      →      {"url":"http://127.0.0.1:PORT/scim/v2","token":"…"}
 */
import { randomBytes } from "node:crypto";
import type { Server } from "node:http";
import { flushCompileCache } from "node:module";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";

export type HostOptions = Readonly<{ port: number; token: string; rest: Readonly<Record<string, string>> }>;

/** The command line: `--port` (0: any free one), `--token` (made up if not given), and the app's own `--name value`. */
export function hostOptions(own: readonly string[] = []): HostOptions {
  const options = Object.fromEntries(["port", "token", ...own].map((name) => [name, { type: "string" as const }]));
  const { values } = parseArgs({ options, strict: true });
  const rest = Object.fromEntries(Object.entries(values).filter(([, value]) => typeof value === "string"));
  const port = Number(values["port"] ?? 0);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error("--port must be a port number");
  const token = values["token"] ?? randomBytes(24).toString("base64url");
  return { port, token: `${token}`, rest: rest as Record<string, string> };
}

/** Waits until a server listens on the loopback address; gives its port. */
export function listening(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

/** Says that the app is ready, and ends the process when its starter closes the pipe to it. */
export function ready(url: string, token: string): void {
  process.stdout.write(`${JSON.stringify({ url, token })}\n`);
  // An app is ended by a signal, which would lose what was compiled; kept, the next start is faster.
  flushCompileCache();
  if (process.stdin.isTTY) return;
  process.stdin.on("end", () => process.exit(0)).resume();
}
