/**
 * The directory-sync half of @boxyhq/saml-jackson behind Express 4: a server that answers 200 to what it does not do,
 * takes two accounts with one user name, and never shows a group's members. What it tells its webhooks is kept and
 * given at `/__events` (newest last), the only view of memberships there is.
 *
 *     node test/interop/servers/jackson.ts --port 0 [--type generic-scim-v2 | okta-scim-v2 | azure-scim-v2]
 */
import { createServer } from "node:http";
import jackson, { type DirectorySyncEvent, type DirectoryType } from "@boxyhq/saml-jackson";
import express from "express";
import { hostOptions, listening, ready } from "../../../demo/apps/host.ts";

const options = hostOptions(["type"]);
const server = createServer();
const port = await listening(server, options.port);
const origin = `http://127.0.0.1:${port}`;

// It logs to stdout, where only the ready line belongs.
console.log = () => undefined;
console.info = () => undefined;

const { directorySyncController } = await jackson.default({
  externalUrl: origin,
  samlAudience: "https://example.com",
  samlPath: "/sso",
  scimPath: "/scim/v2.0",
  db: { engine: "mem" },
  noAnalytics: true,
});
const made = await directorySyncController.directories.create({
  name: "tenure",
  tenant: "example",
  product: "tenure",
  type: (options.rest["type"] ?? "generic-scim-v2") as DirectoryType,
});
if (made.data === null) throw new Error(`No directory was made: ${made.error?.message}`);
const directory = made.data;
const events: DirectorySyncEvent[] = [];

const app = express();
app.use(express.json({ type: ["application/json", "application/scim+json"], limit: "5mb" }));
app.get("/__events", (_request, response) => {
  response.json(events);
});
app.all(`/scim/v2.0/${directory.id}/:resource/:id?`, async (request, response) => {
  const { resource, id } = request.params;
  const { count, startIndex, filter } = request.query;
  const answer = await directorySyncController.requests.handle(
    {
      method: request.method,
      body: request.body,
      directoryId: directory.id,
      resourceType: resource === "Users" ? "users" : "groups",
      resourceId: id,
      apiSecret: request.header("authorization")?.replace(/^Bearer /, "") ?? null,
      query: {
        ...(count === undefined ? {} : { count: Number(count) }),
        ...(startIndex === undefined ? {} : { startIndex: Number(startIndex) }),
        ...(filter === undefined ? {} : { filter: `${filter}` }),
      },
    },
    async (event: DirectorySyncEvent) => {
      events.push(event);
    },
  );
  response.status(answer.status).json(answer.data);
});
server.on("request", app);
ready(`${origin}/scim/v2.0/${directory.id}`, directory.scim.secret);
