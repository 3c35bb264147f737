/** Notifications of a source, for administrators: the secret that it sends them with, and how many people wait. */
import { dropNotifySecret, makeNotifySecret, noticeState } from "../../directory/sourceNotices.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { must } from "../errors.ts";
import { anApp, app_params } from "./shared.ts";

/** Registers the routes. */
export function notifyAdminRoutes(server: Server, api: Api): void {
  server.get(
    "/admin/v1/apps/:app_id/notifications",
    about("imports", "People whom a source told of and who wait to be read", { params: app_params }),
    async (request) => {
      const { id } = await anApp(api, request.params.app_id);
      return { address: addressOf(request.base_url, id), ...(await noticeState(api.db, id)) };
    },
  );

  server.post(
    "/admin/v1/apps/:app_id/notifications/secret",
    about("secrets", "Make the secret of a source's notifications, in place of the old one; shown once", {
      params: app_params,
    }),
    async (request, reply) => {
      const app = await anApp(api, request.params.app_id);
      const secret = must(await makeNotifySecret(commandOf(api, request), api.tools.key, app));
      return reply.code(201).send({ address: addressOf(request.base_url, app.id), secret });
    },
  );

  server.delete(
    "/admin/v1/apps/:app_id/notifications/secret",
    about("secrets", "Take no notifications of a source any more", { params: app_params }),
    async (request, reply) => {
      await dropNotifySecret(commandOf(api, request), await anApp(api, request.params.app_id));
      return reply.code(204).send();
    },
  );
}

const addressOf = (base_url: string, app_id: string) => `${base_url}/sources/${app_id}/notify`;
