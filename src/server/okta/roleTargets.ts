/**
 * …/roles/{id}/targets: what an administrator role is narrowed to. A target app is one app (`name` is then its label) or
 * all apps of one name in the catalogue.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import {
  addTarget,
  type RoleTarget,
  removeTarget,
  type TargetApp,
  targetApps,
  targetGroups,
} from "../../directory/adminTargets.ts";
import { appByIdOrLabel } from "../../directory/apps.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { must, notFound } from "../errors.ts";
import { afterOf, limitOf, page } from "../paging.ts";
import { entryOf, modeOf } from "./catalogue.ts";
import { groupBody } from "./groupBody.ts";
import { oneGroup } from "./groups.ts";
import { date } from "./links.ts";
import { oneGrant, ownGrant, type RolePlace } from "./roles.ts";

const text = z.string().min(1).max(200);
const paged = { after: afterOf, limit: limitOf(20, 200) };

/** Registers the routes below one place where roles are. */
export function roleTargetRoutes(server: Server, api: Api, place: RolePlace): void {
  const params = place.params.extend({ grant_id: text });
  const targets = `${place.path}/:grant_id/targets`;
  listRoutes(server, api, place, targets);
  const change = async (request: FastifyRequest, reply: FastifyReply, target: RoleTarget) => {
    const { grant_id = "" } = request.params as Record<string, string>;
    const assignee = await place.of(request);
    const grant = await ownGrant(api, assignee, grant_id);
    const work = request.method === "PUT" ? addTarget : removeTarget;
    const done = await work(commandOf(api, request), assignee, grant, target);
    if (isRefusal(done) && done.code === "not_found") throw notFound(done.place ?? grant_id, "RoleTarget");
    must(done);
    return reply.code(204).send();
  };
  const word = (request: FastifyRequest, name: string) => (request.params as Record<string, string>)[name] ?? "";
  for (const method of ["PUT", "DELETE"] as const) {
    const what = method === "PUT" ? "Narrow a role" : "Take a target away";
    const route = (
      path: string,
      names: readonly string[],
      target: (request: FastifyRequest) => Promise<RoleTarget>,
    ) => {
      const all = params.extend(Object.fromEntries(names.map((name) => [name, text])));
      const options = about("roles", what, { params: all });
      server.route({
        method,
        url: `${targets}/${path}`,
        ...options,
        handler: async (request, reply) => change(request, reply, await target(request)),
      });
    };
    route("groups/:target_group", ["target_group"], async (request) => ({
      group: await oneGroup(api, word(request, "target_group")),
    }));
    route("catalog/apps/:app_name", ["app_name"], async (request) => ({ app_name: word(request, "app_name") }));
    route("catalog/apps/:app_name/:target_app", ["app_name", "target_app"], async (request) => {
      const id = word(request, "target_app");
      const app = await appByIdOrLabel(api.db, id);
      if (app === undefined || app.id !== id || app.name !== word(request, "app_name"))
        throw notFound(id, "AppInstance");
      return { app };
    });
  }
}

function listRoutes(server: Server, api: Api, place: RolePlace, targets: string): void {
  const params = place.params.extend({ grant_id: text });
  server.get(
    `${targets}/groups`,
    about("roles", "The groups that a role is narrowed to", { params, querystring: z.object(paged) }),
    async (request, reply) => {
      const { after, limit } = request.query;
      const { grant_id = "" } = request.params as Record<string, string>;
      const grant = await oneGrant(api, await place.of(request), grant_id);
      const groups = await targetGroups(api.db, grant, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
      return page(request, reply, groups, limit, ({ id }) => id).map((group) => groupBody(group, request.base_url));
    },
  );
  const querystring = z.object({ ...paged, status: z.enum(["ACTIVE", "INACTIVE"]).optional() });
  server.get(
    `${targets}/catalog/apps`,
    about("roles", "The apps that a role is narrowed to", { params, querystring }),
    async (request, reply) => {
      const { after, limit, status } = request.query;
      const { grant_id = "" } = request.params as Record<string, string>;
      const grant = await oneGrant(api, await place.of(request), grant_id);
      const apps = await targetApps(api.db, grant, {
        limit: limit + 1,
        ...(after === undefined ? {} : { after }),
        ...(status === undefined ? {} : { status }),
      });
      return page(request, reply, apps, limit, ({ key }) => key).map((app) => targetBody(app, request.base_url));
    },
  );
}

function targetBody(app: TargetApp, base: string) {
  if (app.id !== null) {
    const self = { href: `${base}/api/v1/apps/${app.id}` };
    return { name: app.label, status: app.status, id: app.id, _links: { self } };
  }
  const oauth = app.name === "oidc_client";
  const features = entryOf(app.name)?.features;
  return {
    name: app.name,
    displayName: app.name,
    description: `Every app made from ${app.name}`,
    status: app.status,
    lastUpdated: date(app.created_at),
    category: oauth ? "OAUTH2" : "SSO",
    verificationStatus: "OKTA_VERIFIED",
    website: null,
    signOnModes: [modeOf(app.name, undefined) ?? "BROWSER_PLUGIN"],
    ...(features ? { features } : {}),
    _links: {
      logo: [{ name: "medium", href: `${base}/img/app-medium.png`, type: "image/png" }],
      self: { href: `${base}/api/v1/catalog/apps/${app.name}` },
    },
  };
}
