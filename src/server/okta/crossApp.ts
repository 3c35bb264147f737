/** /api/v1/apps/{id}/cwo/connections: which apps an app may ask in its users' name. Kept and returned. */
import { z } from "zod";
import { type CrossApp, connectApps, disconnectApps, listCrossApps, switchCrossApp } from "../../directory/crossApp.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { reach } from "../auth.ts";
import { found, must } from "../errors.ts";
import { date } from "./links.ts";
import { app_params, oneApp } from "./oneApp.ts";

const params = app_params.extend({ connection_id: z.string().min(1).max(100) });
const status = z.enum(["ACTIVE", "INACTIVE"]);
const url = "/api/v1/apps/:app_id/cwo/connections";

/** Registers the routes. */
export function crossAppRoutes(server: Server, api: Api): void {
  server.get(url, about("apps", "Which apps an app may ask", { params: app_params }), async (request) => {
    const { id } = await oneApp(api, request.params.app_id);
    return (await listCrossApps(api.db, id)).map(connectionBody);
  });

  const input = z.object({ resourceAppInstanceId: z.string().min(1).max(100) });
  server.post(
    url,
    about("apps", "Let an app ask another", { params: app_params, body: input }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const other = await oneApp(api, request.body.resourceAppInstanceId);
      await reach(api, request, { app: [other.id] });
      const pair = { requesting_app: app.id, resource_app: other.id };
      return reply.code(201).send(connectionBody(must(await connectApps(commandOf(api, request), pair), "connection")));
    },
  );

  server.get(`${url}/:connection_id`, about("apps", "One connection", { params }), async (request) => {
    const { id } = await oneApp(api, request.params.app_id);
    const { connection_id } = request.params;
    const one = (await listCrossApps(api.db, id)).find((connection) => connection.id === connection_id);
    return connectionBody(found(one, connection_id, "Connection"));
  });

  server.patch(
    `${url}/:connection_id`,
    about("apps", "Switch a connection", { params, body: z.object({ status }) }),
    async (request) => {
      const { id } = await oneApp(api, request.params.app_id);
      const { connection_id } = request.params;
      const command = commandOf(api, request);
      const after = must(await switchCrossApp(command, id, connection_id, request.body.status));
      return connectionBody(found(after, connection_id, "Connection"));
    },
  );

  server.delete(`${url}/:connection_id`, about("apps", "End a connection", { params }), async (request, reply) => {
    const { id } = await oneApp(api, request.params.app_id);
    const { connection_id } = request.params;
    found(must(await disconnectApps(commandOf(api, request), id, connection_id)), connection_id, "Connection");
    return reply.code(204).send();
  });
}

function connectionBody(connection: CrossApp) {
  return {
    id: connection.id,
    requestingAppInstanceId: connection.requesting_app,
    resourceAppInstanceId: connection.resource_app,
    status: connection.status,
    created: date(connection.created_at),
    lastUpdated: date(connection.updated_at),
  };
}
