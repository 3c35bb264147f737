/** Access with an end and a reason: memberships and assignments as grants, and holds. */
import { z } from "zod";
import { assignUsers, grantsOf, unassignUsers } from "../../directory/assignments.ts";
import { assignGroups } from "../../directory/groupAssignments.ts";
import { membershipGrants } from "../../directory/groupQueries.ts";
import { grantMemberships, revokeMemberships } from "../../directory/memberships.ts";
import { holdUser, unholdUser } from "../../directory/userLifecycle.ts";
import { knownIds } from "../../directory/userQueries.ts";
import { nameGivers } from "../../engine/reasons.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { reach } from "../auth.ts";
import { invalid, must } from "../errors.ts";
import { oneGroup } from "../okta/groups.ts";
import { profile_input, profileOf } from "../okta/userInput.ts";
import { oneUser, user_params } from "../okta/users.ts";
import { anApp, given, moment } from "./shared.ts";

const reason = z.string().max(500).nullish();
const many = z.array(z.string().min(1).max(200)).min(1).max(10_000);

/** Registers the routes. */
export function grantRoutes(server: Server, api: Api): void {
  membershipRoutes(server, api);
  assignmentRoutes(server, api);
  assignmentEndRoutes(server, api);
  personRoutes(server, api);
}

function membershipRoutes(server: Server, api: Api): void {
  const members = z.object({ group_id: z.string().max(100), users: many.describe("Ids or logins") });
  const terms = z.object({ reason, expires_at: moment.nullish() });
  const several = z.object({ groups: z.array(members).min(1).max(1_000).describe("Several groups at once") });
  const membership = z.union([members.extend(terms.shape), several.extend(terms.shape)]);
  server.post(
    "/admin/v1/memberships",
    about("members", "Put people in groups, with a reason and an end", { body: membership }, { within: true }),
    async (request) => {
      const { reason: why, expires_at } = request.body;
      const groups = "groups" in request.body ? request.body.groups : [request.body];
      await reach(api, request, { group: groups.map(({ group_id }) => group_id) });
      for (const { group_id } of groups) await oneGroup(api, group_id);
      const command = commandOf(api, request);
      const named = [...new Set(groups.flatMap(({ users }) => users))];
      const ids = new Map((await idsOf(api, named)).map((id, n) => [named[n] ?? "", id]));
      const grants = groups.flatMap(({ group_id, users }) =>
        users.map((user) => ({
          ...{ user_id: ids.get(user) ?? "", group_id, kind: "person" as const, source_id: command.actor.id },
          ...{ reason: why ?? null, expires_at: expires_at ?? null },
        })),
      );
      return { began: must(await grantMemberships(command, grants)) };
    },
  );

  const removal = z.object({ group_id: z.string().max(100), users: many, reason });
  server.post(
    "/admin/v1/memberships/end",
    about(
      "members",
      "Take people out of a group; rules leave them out from now on",
      { body: removal },
      { within: true },
    ),
    async (request) => {
      const { group_id, users, reason: why } = request.body;
      await reach(api, request, { group: [group_id] });
      await oneGroup(api, group_id);
      const ids = await idsOf(api, users);
      return must(
        await revokeMemberships(
          commandOf(api, request),
          ids.map((user_id) => ({ user_id, group_id, reason: why ?? null })),
        ),
      );
    },
  );

  const pair = z.object({ group_id: z.string().max(100), user: z.string().max(200) });
  server.get(
    "/admin/v1/memberships/why",
    about("members", "Who or what put a person in a group", { querystring: pair }),
    async (request) => {
      const group = await oneGroup(api, request.query.group_id);
      const user = await oneUser(api, request.query.user);
      const membership = await membershipGrants(api.db, group.id, user.id);
      const named = (await nameGivers(api.db, [membership]))(membership);
      return membership.map((one, n) => ({ ...one, name: named[n]?.name ?? one.source_id }));
    },
  );
}

function assignmentRoutes(server: Server, api: Api): void {
  const assignment = z.object({
    app: z.string().min(1).max(200).describe("Id or label"),
    users: many.optional(),
    group_ids: z.array(z.string().max(100)).max(1_000).optional(),
    profile: profile_input.optional(),
    reason,
    expires_at: moment.nullish(),
  });
  server.post(
    "/admin/v1/assignments",
    about(
      "assignments",
      "Give an app to people or groups, with a reason and an end",
      { body: assignment },
      { within: true },
    ),
    async (request) => {
      const { users, group_ids, profile, reason: why, expires_at = null } = request.body;
      if ((users === undefined) === (group_ids === undefined))
        throw invalid("users", "say to whom: users or group_ids");
      await reach(api, request, { app: [request.body.app] });
      const app = await anApp(api, request.body.app);
      const command = commandOf(api, request);
      const values = given("profile", profile === undefined ? undefined : profileOf(profile));
      if (group_ids !== undefined) {
        return {
          groups: must(
            await assignGroups(
              command,
              app.id,
              group_ids.map((group_id) => ({ group_id, expires_at, ...values })),
            ),
          ),
        };
      }
      const grants = (await idsOf(api, users ?? [])).map((user_id) => ({
        user_id,
        reason: why ?? null,
        expires_at,
        ...values,
      }));
      return must(await assignUsers(command, app.id, grants));
    },
  );
}

function assignmentEndRoutes(server: Server, api: Api): void {
  const removal = z.object({ app: z.string().min(1).max(200), users: many, reason: z.string().max(500).optional() });
  server.post(
    "/admin/v1/assignments/end",
    about(
      "assignments",
      "Take an app from people; says whom groups still give it",
      { body: removal },
      { within: true },
    ),
    async (request) => {
      await reach(api, request, { app: [request.body.app] });
      const app = await anApp(api, request.body.app);
      return must(
        await unassignUsers(
          commandOf(api, request),
          app.id,
          await idsOf(api, request.body.users),
          given("reason", request.body.reason),
        ),
      );
    },
  );

  const pair = z.object({ app: z.string().max(200), user: z.string().max(200) });
  server.get(
    "/admin/v1/assignments/why",
    about("assignments", "A person's own grants of an app", { querystring: pair }),
    async (request) => {
      const app = await anApp(api, request.query.app);
      return grantsOf(api.db, app.id, (await oneUser(api, request.query.user)).id);
    },
  );
}

function personRoutes(server: Server, api: Api): void {
  const hold = z.object({ reason: z.string().min(1).max(500), until: moment.nullish() });
  server.post(
    "/admin/v1/users/:user_id/hold",
    about("users", "Hold a person's status against sources and the clock", { params: user_params, body: hold }),
    async (request) => {
      const { id } = await oneUser(api, request.params.user_id);
      const user = must(
        await holdUser(commandOf(api, request), id, { reason: request.body.reason, until: request.body.until ?? null }),
      );
      return { id, hold: user.hold };
    },
  );
  server.delete(
    "/admin/v1/users/:user_id/hold",
    about("users", "Lift a hold", { params: user_params }),
    async (request) => {
      const { id } = await oneUser(api, request.params.user_id);
      return { id, hold: must(await unholdUser(commandOf(api, request), id)).hold };
    },
  );
}

/** Ids of people who are named by id or login. Ids are looked up in one statement, because they come by the thousand. */
async function idsOf(api: Api, users: readonly string[]): Promise<string[]> {
  const known = await knownIds(api.db, users);
  const ids: string[] = [];
  for (const user of users) ids.push(known.has(user) ? user : (await oneUser(api, user)).id);
  return ids;
}
