/** /api/v1/apps/{id}/groups: which groups give an app, in which order, with which values. */
import { z } from "zod";
import type { Profile, Refusal } from "../../core/types.ts";
import { type Command, run } from "../../directory/command.ts";
import {
  assignGroups,
  assignmentsOf,
  type GroupAssignment,
  type NewGroupAssignment,
  orderGroups,
  unassignGroups,
} from "../../directory/groupAssignments.ts";
import { getGroup } from "../../directory/groupQueries.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must } from "../errors.ts";
import { afterOf, limitOf, page } from "../paging.ts";
import { groupBody } from "./groupBody.ts";
import { oneGroup } from "./groups.ts";
import { date } from "./links.ts";
import { app_params, oneApp } from "./oneApp.ts";
import { profile_input, profileOf } from "./userInput.ts";

const params = app_params.extend({ group_id: z.string().min(1).max(100) });
const list_query = z.object({
  q: z.string().max(200).optional().describe("Start of the group's name"),
  expand: z.string().max(100).optional().describe("group: with the group"),
  after: afterOf,
  limit: limitOf(20, 200),
});
const assignment_input = z.object({ priority: z.int().min(0).optional(), profile: profile_input.nullish() }).nullish();
const patch_input = z
  .array(
    z.object({
      op: z.enum(["add", "replace", "remove"]),
      path: z.string().regex(/^\/(priority|profile(\/[^/]+)?)$/),
      value: z.json().optional(),
    }),
  )
  .min(1)
  .max(100);

/** Registers the routes. */
export function appGroupRoutes(server: Server, api: Api): void {
  server.get(
    "/api/v1/apps/:app_id/groups",
    about("assignments", "Which groups give an app", { params: app_params, querystring: list_query }),
    async (request, reply) => {
      const app = await oneApp(api, request.params.app_id);
      const { q, after, limit, expand } = request.query;
      const all = await assignmentsOf(api.db, app.id);
      const groups = new Map(
        await Promise.all(
          q === undefined && expand === undefined
            ? []
            : all.map(async ({ group_id }) => [group_id, await getGroup(api.db, group_id)] as const),
        ),
      );
      const named =
        q === undefined
          ? all
          : all.filter(({ group_id }) =>
              String(groups.get(group_id)?.profile["name"]).toLowerCase().startsWith(q.toLowerCase()),
            );
      const from = after === undefined ? 0 : named.findIndex(({ group_id }) => group_id === after) + 1;
      const items = page(request, reply, named.slice(from, from + limit + 1), limit, ({ group_id }) => group_id);
      return items.map((one) => {
        const group = expand?.split(",").includes("group") ? groups.get(one.group_id) : undefined;
        return {
          ...appGroupBody(one, request.base_url),
          ...(group ? { _embedded: { group: groupBody(group, request.base_url) } } : {}),
        };
      });
    },
  );

  server.put(
    "/api/v1/apps/:app_id/groups/:group_id",
    about("assignments", "Give a group an app", { params, body: assignment_input }),
    async (request) => {
      const app = await oneApp(api, request.params.app_id);
      const group = await oneGroup(api, request.params.group_id);
      const { priority, profile } = request.body ?? {};
      const made = must(
        await assignAt(commandOf(api, request), app.id, {
          group_id: group.id,
          ...(priority === undefined ? {} : { priority }),
          ...(profile ? { profile: profileOf(profile) } : {}),
        }),
      );
      return appGroupBody(made, request.base_url);
    },
  );
  oneGroupRoutes(server, api);
}

/** One assignment: reading, changing, ending it. */
function oneGroupRoutes(server: Server, api: Api): void {
  server.get(
    "/api/v1/apps/:app_id/groups/:group_id",
    about("assignments", "One group's assignment of an app", { params }),
    async (request) => appGroupBody(await oneAssignment(api, request.params), request.base_url),
  );

  server.patch(
    "/api/v1/apps/:app_id/groups/:group_id",
    about("assignments", "Change priority or values of a group's assignment", { params, body: patch_input }),
    async (request) => {
      const before = await oneAssignment(api, request.params);
      const next = patched(before, request.body);
      const made = must(await assignAt(commandOf(api, request), before.app_id, { group_id: before.group_id, ...next }));
      return appGroupBody(made, request.base_url);
    },
  );

  server.delete(
    "/api/v1/apps/:app_id/groups/:group_id",
    about("assignments", "Take an app from a group", { params }),
    async (request, reply) => {
      const { app_id, group_id } = await oneAssignment(api, request.params);
      must(await unassignGroups(commandOf(api, request), app_id, [group_id]));
      return reply.code(204).send();
    },
  );
}

/** Assigns, and like Okta gives the newcomer the place it asks for: who was there moves down. */
function assignAt(
  command: Command,
  app_id: string,
  assignment: NewGroupAssignment,
): Promise<GroupAssignment | Refusal> {
  const { group_id, priority } = assignment;
  return run<GroupAssignment>(command, async (running) => {
    const made = await assignGroups(running, app_id, [assignment]);
    if (isRefusal(made)) return made;
    const all = await assignmentsOf(running.db, app_id);
    const taken = priority !== undefined && all.some((one) => one.priority === priority && one.group_id !== group_id);
    if (taken) {
      const others = all.filter((one) => one.group_id !== group_id);
      const place = others.findIndex((one) => one.priority >= priority);
      const order = others.map((one) => one.group_id).toSpliced(place, 0, group_id);
      const moved = await orderGroups(running, app_id, order);
      if (isRefusal(moved)) return moved;
    }
    const [now] = await assignmentsOf(running.db, app_id, [group_id]);
    return now ?? { refused: `group ${group_id} is not assigned`, code: "not_found" };
  });
}

async function oneAssignment(api: Api, { app_id, group_id }: z.infer<typeof params>): Promise<GroupAssignment> {
  const app = await oneApp(api, app_id);
  const [assignment] = await assignmentsOf(api.db, app.id, [group_id]);
  return found(assignment, group_id, "AppGroup");
}

function patched(
  before: GroupAssignment,
  operations: z.infer<typeof patch_input>,
): { priority: number; profile: Profile } {
  let { priority } = before;
  let profile = new Map(Object.entries(before.profile));
  for (const { op, path, value } of operations) {
    const [, part, name] = path.split("/");
    if (part === "priority") {
      if (!Number.isInteger(value)) throw invalid("priority", "priority: must be a whole number");
      priority = value as number;
    } else if (name === undefined) {
      const given = profile_input.safeParse(op === "remove" ? {} : value);
      if (!given.success) throw invalid("profile", "profile: must be an object");
      profile = new Map(Object.entries(profileOf(given.data)));
    } else if (op === "remove" || value === undefined) profile.delete(name);
    else profile.set(name, value as Profile[string] as never);
  }
  return { priority, profile: Object.fromEntries(profile) };
}

function appGroupBody(assignment: GroupAssignment, base: string) {
  const app = `${base}/api/v1/apps/${assignment.app_id}`;
  return {
    id: assignment.group_id,
    lastUpdated: date(assignment.updated_at),
    priority: assignment.priority,
    profile: assignment.profile,
    _links: {
      app: { href: app },
      self: { href: `${app}/groups/${assignment.group_id}` },
      group: { href: `${base}/api/v1/groups/${assignment.group_id}` },
    },
  };
}
