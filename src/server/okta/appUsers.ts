/** /api/v1/apps/{id}/users and /groups: who has an app, by themselves or through a group (okta-api 4.4). */
import { z } from "zod";
import type { Profile } from "../../core/types.ts";
import { type AccountView, accountOf, listAccounts } from "../../directory/accounts.ts";
import type { App } from "../../directory/apps.ts";
import { assignUsers, setAssignmentValues, unassignUsers } from "../../directory/assignments.ts";
import { getUsers, type StoredUser } from "../../directory/userQueries.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must } from "../errors.ts";
import { afterOf, limitOf, page } from "../paging.ts";
import { date } from "./links.ts";
import { app_params, oneApp } from "./oneApp.ts";
import { userBody } from "./userBody.ts";
import { profile_input, profileOf } from "./userInput.ts";
import { oneUser } from "./users.ts";

const params = app_params.extend({ user_id: z.string().min(1).max(200) });
const credentials = z.looseObject({ userName: z.string().min(1).max(500).nullish() });
const app_user_input = z.object({
  scope: z.enum(["USER", "GROUP"]).nullish(),
  credentials: credentials.nullish(),
  profile: profile_input.nullish(),
});
const new_app_user = app_user_input.extend({ id: z.string().min(1).max(200) });
type AppUserInput = z.infer<typeof app_user_input>;

const list_query = z.object({
  q: z.string().max(200).optional().describe("Start of user name, first or last name, or e-mail"),
  expand: z.string().max(100).optional().describe("user: with the person"),
  after: afterOf,
  limit: limitOf(50, 500),
});
const one_query = z.object({ expand: z.string().max(100).optional() });

/** Registers the routes. */
export function appUserRoutes(server: Server, api: Api): void {
  server.get(
    "/api/v1/apps/:app_id/users",
    about("assignments", "Who has an app", { params: app_params, querystring: list_query }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const { q, after, limit, expand } = request.query;
      const filter = {
        app_id: app.id,
        limit: limit + 1,
        ...(q === undefined ? {} : { q }),
        ...(after === undefined ? {} : { after }),
      };
      const accounts = page(
        request,
        reply,
        await listAccounts(api.db, filter, api.world.now()),
        limit,
        ({ user_id }) => user_id,
      );
      const people =
        expand === "user"
          ? await getUsers(
              api.db,
              accounts.map(({ user_id }) => user_id),
            )
          : undefined;
      return accounts.map((account) => appUserBody(account, app, request.base_url, people?.get(account.user_id)));
    },
  );

  server.post(
    "/api/v1/apps/:app_id/users",
    about("assignments", "Give a person an app", { params: app_params, body: new_app_user }),
    async (request) => {
      const app = await oneApp(api, request.params.app_id);
      const user = await oneUser(api, request.body.id);
      must(
        await assignUsers(commandOf(api, request), app.id, [
          { user_id: user.id, profile: valuesOf(app, user, request.body) },
        ]),
      );
      return oneAppUser(api, app, user, request.base_url);
    },
  );
  oneUserRoutes(server, api);
}

/** One person's assignment: reading, changing, ending it. */
function oneUserRoutes(server: Server, api: Api): void {
  server.get(
    "/api/v1/apps/:app_id/users/:user_id",
    about("assignments", "One person's account in an app", { params, querystring: one_query }),
    async (request) => {
      const app = await oneApp(api, request.params.app_id);
      const user = await oneUser(api, request.params.user_id);
      return oneAppUser(api, app, user, request.base_url, request.query.expand === "user");
    },
  );

  for (const method of ["POST", "PUT"] as const) {
    const summary = method === "POST" ? "Change the values of a person's assignment" : "Give a person an app";
    server.route({
      method,
      url: "/api/v1/apps/:app_id/users/:user_id",
      ...about("assignments", summary, { params, body: app_user_input.nullish() }),
      handler: async (request) => {
        const app = await oneApp(api, request.params.app_id);
        const user = await oneUser(api, request.params.user_id);
        const profile = valuesOf(app, user, request.body ?? {});
        const command = commandOf(api, request);
        if (method === "PUT") must(await assignUsers(command, app.id, [{ user_id: user.id, profile }]));
        else {
          await requireAssigned(api, app, user.id);
          must(await setAssignmentValues(command, app.id, user.id, profile));
        }
        return oneAppUser(api, app, user, request.base_url);
      },
    });
  }

  server.delete(
    "/api/v1/apps/:app_id/users/:user_id",
    about("assignments", "Take an app from a person", { params }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const user = await oneUser(api, request.params.user_id);
      const account = await requireAssigned(api, app, user.id);
      if (account.scope === "GROUP") {
        throw invalid(
          "scope",
          `${user.login} has ${app.label} through a group; take them out of the group ${account.group_id ?? ""}, or the group away from the app`,
        );
      }
      must(await unassignUsers(commandOf(api, request), app.id, [user.id]));
      return reply.code(204).send();
    },
  );
}

async function requireAssigned(api: Api, app: App, user_id: string): Promise<AccountView> {
  const account = await accountOf(api.db, app.id, user_id, api.world.now());
  return found(account?.assigned ? account : undefined, user_id, "AppUser");
}

/** The account's own values. Clients always send a user name; only one that differs from the login is a wish. */
function valuesOf(app: App, user: StoredUser, input: AppUserInput): Profile {
  const profile = input.profile ? profileOf(input.profile) : {};
  const name = input.credentials?.userName;
  const wished = name && name.toLowerCase() !== user.login.toLowerCase();
  return wished ? { ...profile, [app.provisioning.match_attribute]: name } : profile;
}

async function oneAppUser(api: Api, app: App, user: StoredUser, base: string, expanded = false) {
  const account = await accountOf(api.db, app.id, user.id, api.world.now());
  // What was taken away is no app user any more, save while somebody must still remove it.
  const shown = account?.assigned || account?.pending === "remove" ? account : undefined;
  return appUserBody(found(shown, user.id, "AppUser"), app, base, expanded ? user : undefined);
}

/** Somebody's account in an app as a client of Okta sees it; undefined: they do not have the app. */
export async function appUserOf(api: Api, app: App, user_id: string, base: string) {
  const account = await accountOf(api.db, app.id, user_id, api.world.now());
  return account?.assigned ? appUserBody(account, app, base) : undefined;
}

function appUserBody(account: AccountView, app: App, base: string, user?: StoredUser) {
  const name = account.profile[app.provisioning.match_attribute];
  return {
    id: account.user_id,
    externalId: account.external_id,
    created: date(account.created_at),
    lastUpdated: date(account.updated_at),
    scope: account.scope ?? "USER",
    status: account.status,
    statusChanged: date(account.assigned_at ?? account.created_at),
    passwordChanged: null,
    syncState: account.sync_state,
    ...(account.synced_at === null ? {} : { lastSync: date(account.synced_at) }),
    credentials: { userName: typeof name === "string" ? name : account.login },
    profile: account.profile,
    _links: {
      app: { href: `${base}/api/v1/apps/${account.app_id}` },
      user: { href: `${base}/api/v1/users/${account.user_id}` },
      ...(account.scope === "GROUP" && account.group_id !== null
        ? { group: { href: `${base}/api/v1/groups/${account.group_id}`, name: account.group_id } }
        : {}),
    },
    ...(user === undefined ? {} : { _embedded: { user: userBody(user, base) } }),
  };
}
