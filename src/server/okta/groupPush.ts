/**
 * /api/v1/apps/{id}/group-push/mappings: our groups written to an app (okta-api 4.5). Okta gives these dates without
 * milliseconds, and wants a mapping INACTIVE before it is deleted.
 */
import { z } from "zod";
import {
  createPushes,
  listPushes,
  type Push,
  pausePushes,
  readPush,
  resumePushes,
  unlinkPushes,
} from "../../directory/pushes.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, found, invalid, must } from "../errors.ts";
import { afterOf, limitOf, page } from "../paging.ts";
import { app_params, oneApp } from "./oneApp.ts";

const params = app_params.extend({ push_id: z.string().min(1).max(100) });
const list_query = z.object({
  sourceGroupId: z.string().max(100).optional(),
  status: z.enum(["ACTIVE", "INACTIVE", "ERROR"]).optional(),
  lastUpdated: z.string().max(100).optional(),
  after: afterOf,
  limit: limitOf(100, 1_000),
});
const push_input = z.object({
  sourceGroupId: z.string().min(1).max(100),
  targetGroupId: z.string().min(1).max(500).optional(),
  targetGroupName: z.string().min(1).max(255).optional(),
  status: z.enum(["ACTIVE", "INACTIVE"]).default("ACTIVE"),
});
const url = "/api/v1/apps/:app_id/group-push/mappings";

/** Registers the routes. */
export function groupPushRoutes(server: Server, api: Api): void {
  server.get(
    url,
    about("apps", "The groups pushed to an app", { params: app_params, querystring: list_query }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const { sourceGroupId, status, lastUpdated, after, limit } = request.query;
      const since = lastUpdated === undefined ? undefined : new Date(lastUpdated);
      if (since && Number.isNaN(since.getTime())) throw invalid("lastUpdated", "lastUpdated: use ISO 8601");
      const pushes = await listPushes(api.db, {
        app_id: app.id,
        limit: limit + 1,
        ...(sourceGroupId === undefined ? {} : { group_id: sourceGroupId }),
        ...(status === undefined ? {} : { state: status }),
        ...(since === undefined ? {} : { updated_since: since }),
        ...(after === undefined ? {} : { after }),
      });
      return page(request, reply, pushes, limit, ({ id }) => id).map((push) => pushBody(push, request.base_url));
    },
  );

  server.post(
    url,
    about("apps", "Push a group to an app", { params: app_params, body: push_input }),
    async (request) => {
      const app = await oneApp(api, request.params.app_id);
      const { sourceGroupId, targetGroupId, targetGroupName, status } = request.body;
      const input = {
        group_id: sourceGroupId,
        active: status === "ACTIVE",
        ...(targetGroupId === undefined ? {} : { target_id: targetGroupId }),
        ...(targetGroupName === undefined ? {} : { target_name: targetGroupName }),
      };
      const outcome = await createPushes(commandOf(api, request), app.id, [input], api.tools);
      // It is the app that cannot, not the server for the moment.
      if (isRefusal(outcome) && outcome.code === "unavailable") throw invalid("groupPushMapping", outcome.refused);
      const [push] = must(outcome, "groupPushMapping");
      return pushBody(push as Push, request.base_url);
    },
  );
  onePushRoutes(server, api);
}

/** One pushed group: reading, stopping, ending it. */
function onePushRoutes(server: Server, api: Api): void {
  server.get(`${url}/:push_id`, about("apps", "One pushed group", { params }), async (request) =>
    pushBody(await onePush(api, request.params), request.base_url),
  );

  const change = z.object({ status: z.enum(["ACTIVE", "INACTIVE"]) });
  server.patch(
    `${url}/:push_id`,
    about("apps", "Stop a push, or let it go on", { params, body: change }),
    async (request) => {
      const { id } = await onePush(api, request.params);
      const command = request.body.status === "ACTIVE" ? resumePushes : pausePushes;
      const [push] = must(await command(commandOf(api, request), [id]));
      return pushBody(found(push, id, "GroupPushMapping"), request.base_url);
    },
  );

  const deleting = z.object({ deleteTargetGroup: z.enum(["true", "false"]).optional() });
  server.delete(
    `${url}/:push_id`,
    about("apps", "End a push; the app's group is left or deleted", { params, querystring: deleting }),
    async (request, reply) => {
      const { deleteTargetGroup } = request.query;
      if (deleteTargetGroup === undefined) {
        throw new ApiError(400, "E0000028", "The request is missing a required parameter.", [
          "deleteTargetGroup: true or false",
        ]);
      }
      const { id, status } = await onePush(api, request.params);
      if (status === "ACTIVE") throw invalid("groupPushMapping", "The mapping must be INACTIVE before it is deleted");
      must(await unlinkPushes(commandOf(api, request), [id], deleteTargetGroup === "true" ? "delete" : "leave"));
      return reply.code(200).send();
    },
  );
}

async function onePush(api: Api, { app_id, push_id }: z.infer<typeof params>): Promise<Push> {
  const app = await oneApp(api, app_id);
  const push = await readPush(api.db, push_id);
  return found(push?.app_id === app.id ? push : undefined, push_id, "GroupPushMapping");
}

const seconds = (at: Date) => `${at.toISOString().slice(0, 19)}Z`;

function pushBody(push: Push, base: string) {
  return {
    id: push.id,
    created: seconds(push.created_at),
    lastUpdated: seconds(push.updated_at),
    sourceGroupId: push.group_id,
    targetGroupId: push.target_id,
    status: push.state,
    ...(push.error === null ? {} : { errorSummary: push.error }),
    _links: {
      app: { href: `${base}/api/v1/apps/${push.app_id}` },
      sourceGroup: { href: `${base}/api/v1/groups/${push.group_id}` },
      // Until the app has told the group's id, this says where it will be read.
      targetGroup: {
        href:
          push.target_id === null
            ? `${base}/api/v1/apps/${push.app_id}/group-push/mappings/${push.id}`
            : `${base}/api/v1/groups/${encodeURIComponent(push.target_id)}`,
      },
    },
  };
}
