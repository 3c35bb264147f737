/**
 * An app whose SCIM interface is the better-auth package's plugin: a strict server with a SQLite database in memory.
 *
 * Known ways of its own: `schemas` and an e-mail address are needed; only `eq` filters; at most 100 accounts per page
 * and 100 members per write; password and nickName are refused; removing displayName answers 200 and changes nothing.
 */
import { createServer } from "node:http";
import { DatabaseSync } from "node:sqlite";
import { scim } from "@better-auth/scim";
import { type BetterAuthOptions, betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { hostOptions, listening, ready } from "./host.ts";

const options = hostOptions();
const server = createServer();
const port = await listening(server, options.port);
const origin = `http://127.0.0.1:${port}`;

const settings: BetterAuthOptions = {
  baseURL: origin,
  basePath: "/api/auth",
  secret: "an example app keeps no secrets: 0123456789",
  database: new DatabaseSync(":memory:"),
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { disabled: true },
  plugins: [
    scim({ connections: [{ id: "tenure", credentials: [{ type: "bearer", id: "client", token: options.token }] }] }),
  ],
};
const { runMigrations } = await getMigrations(settings);
await runMigrations();
const handle = toNodeHandler(betterAuth(settings));
server.on("request", (request, response) => {
  handle(request, response).catch(() => response.writeHead(500).end());
});
ready(`${origin}/api/auth/scim/v2`, options.token);
