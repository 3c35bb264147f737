/**
 * /api/v1/users: finding, making, changing and deleting people (okta-api 4.1). Their life cycle is userLifecycle.ts,
 * their passwords credentials.ts, their form userBody.ts.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { z } from "zod";
import type { Refusal } from "../../core/types.ts";
import { run } from "../../directory/command.ts";
import { changeRecovery } from "../../directory/recovery.ts";
import type { Sorted } from "../../directory/sorting.ts";
import { type Deletion, deleteUser, transitionUser } from "../../directory/userLifecycle.ts";
import {
  getUser,
  groupsOf,
  type ShownUser,
  type StoredUser,
  showUser,
  showUsers,
} from "../../directory/userQueries.ts";
import { createUsers, type UserChange, updateUsers } from "../../directory/users.ts";
import { isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { reach } from "../auth.ts";
import { ApiError, found, invalid, must } from "../errors.ts";
import { setTag, whenMatching } from "../etag.ts";
import { sendJson, sendJsonList } from "../pageBytes.ts";
import { afterOf, idCursor, page, setLinks } from "../paging.ts";
import { groupBody } from "./groupBody.ts";
import { ownerBody } from "./me.ts";
import { filterUsers, isDescending, searchUsers, sortCursor, sortUsers } from "./search.ts";
import { shown_names, updatedAt, userBody, userParts, userText } from "./userBody.ts";
import { type CredentialsInput, new_user, passwordOf, profileOf, typeOf, user_change } from "./userInput.ts";

const deletion_tries = 20;
const deletion_wait_ms = 250;

export const user_params = z.object({
  user_id: z.string().min(1).max(200).describe("Id, login, or login without its @domain"),
});

const flag = (standard: boolean) =>
  z
    .enum(["true", "false"])
    .default(standard ? "true" : "false")
    .transform((text) => text === "true");

const list_query = z.object({
  search: z.string().max(10_000).optional().describe('As in profile.department eq "Sales" and status eq "ACTIVE"'),
  filter: z.string().max(10_000).optional().describe("Status, dates, id, login, e-mail and names only; case counts"),
  q: z.string().max(200).optional().describe("Start of first name, last name or e-mail address"),
  sortBy: z.string().max(200).optional(),
  sortOrder: z.string().optional(),
  after: afterOf,
  limit: z.coerce.number().int().min(1).optional(),
});

/** Registers the routes. */
export function userRoutes(server: Server, api: Api): void {
  server.get(
    "/api/v1/users",
    about("users", "List or search people", { querystring: list_query }),
    async (request, reply) => {
      const rows = await listOf(api, request.query);
      const items = page(request, reply, rows.users, rows.limit, rows.after);
      return sendJsonList(
        reply,
        items.map((user) => userParts(user, request.base_url, "self")),
      );
    },
  );

  const create_query = z.object({ activate: flag(true), provider: flag(false), nextLogin: z.string().optional() });
  server.post(
    "/api/v1/users",
    about("users", "Create a person", { querystring: create_query, body: new_user }, { within: true }),
    async (request) => {
      const { profile, credentials, groupIds } = request.body;
      await reach(api, request, { group: groupIds ?? [] }, "members");
      const type_id = typeOf(request.body.type);
      const password = passwordOf(credentials);
      const recovery = credentials?.recovery_question;
      const [user] = mustBeFree(
        await createUsers(
          commandOf(api, request),
          [
            {
              profile: profileOf(profile),
              activate: request.query.activate,
              must_change_password: request.query.nextLogin === "changePassword",
              group_ids: groupIds ?? [],
              ...(type_id === undefined ? {} : { type_id }),
              ...(credentials?.password?.hook === undefined ? {} : { password_hook: true }),
              ...(password === undefined ? {} : { password }),
              ...(recovery?.answer === undefined
                ? {}
                : { recovery: { question: recovery.question, answer: recovery.answer } }),
              ...(credentials?.provider ? { provider: credentials.provider } : {}),
            },
          ],
          { key: api.tools.key },
        ),
        "newUser",
      );
      return userBody(user as StoredUser, request.base_url);
    },
  );
  oneUserRoutes(server, api);
}

/** One person: reading, changing, deleting them, and their groups and roles. */
function oneUserRoutes(server: Server, api: Api): void {
  server.get(
    "/api/v1/users/:user_id",
    about("users", "Read a person", { params: user_params }),
    async (request, reply) => {
      const { user_id } = request.params;
      if (user_id === "me") return ownerBody(api, request);
      const user = found(await showUser(api.reads, user_id, shown_names), user_id, "User");
      setTag(reply, updatedAt(user));
      return sendJson(reply, userText(user, request.base_url));
    },
  );

  for (const [method, replace] of [
    ["POST", false],
    ["PUT", true],
  ] as const) {
    const changing = about("users", replace ? "Replace a person's profile" : "Change part of a person's profile");
    server.route({
      method,
      url: "/api/v1/users/:user_id",
      ...changing,
      schema: { ...changing.schema, params: user_params, body: user_change },
      handler: async (request) => {
        const { id } = await oneUser(api, request.params.user_id);
        const { profile, credentials } = request.body;
        if (replace && !profile)
          throw invalid("profile", "profile: a replacement needs the whole profile; use POST to change a part");
        const type_id = typeOf(request.body.type);
        const change: UserChange = {
          id,
          ...(profile ? { profile: profileOf(profile), replace } : {}),
          ...(type_id === undefined ? {} : { type_id }),
        };
        const changed = await whenMatching(request, commandOf(api, request), "users", id, (command) =>
          changeUser(api, command, change, credentials),
        );
        return userBody(must(changed), request.base_url);
      },
    });
  }

  server.delete(
    "/api/v1/users/:user_id",
    about("users", "Deactivate a person; delete one who is deactivated", { params: user_params }),
    async (request, reply) => {
      const { id } = await oneUser(api, request.params.user_id);
      must(await deleteWhenGone(() => deleteUser(commandOf(api, request), id)));
      return reply.code(204).send();
    },
  );

  server.get(
    "/api/v1/users/:user_id/groups",
    about("groups", "The groups of a person", { params: user_params }),
    async (request, reply) => {
      const { id } = await oneUser(api, request.params.user_id);
      setLinks(request, reply, undefined);
      return (await groupsOf(api.db, id)).map((group) => groupBody(group, request.base_url));
    },
  );
}

/** A person is forgotten once their accounts are off, which takes the engine a moment: clients of Okta do not try again. */
async function deleteWhenGone(deletion: () => Promise<Deletion | Refusal>): Promise<Deletion | Refusal> {
  for (let tries = 1; ; tries++) {
    const outcome = await deletion();
    if (!isRefusal(outcome) || outcome.code !== "stale" || tries >= deletion_tries) return outcome;
    await sleep(deletion_wait_ms);
  }
}

type ListQuery = z.infer<typeof list_query>;
type Shown = ShownUser & Sorted;
type Rows = Readonly<{ users: readonly Shown[]; limit: number; after: (last: Shown) => string }>;

/** The page that a query asks for, with one row more when there is more. */
async function listOf(api: Api, query: ListQuery): Promise<Rows> {
  const { search, filter, q, sortBy } = query;
  // Who asks for an order that is none is told so, sorted or not.
  isDescending(query.sortOrder);
  const limit = Math.min(query.limit ?? (q !== undefined && search === undefined ? 10 : 200), 200);
  if (search !== undefined && filter !== undefined) {
    throw new ApiError(400, "E0000031", "Invalid search criteria.", ["Use search or filter, not both"]);
  }
  const where = [
    ...(search === undefined ? [] : [await searchUsers(api, search)]),
    ...(filter === undefined ? [] : [await filterUsers(api, filter)]),
  ];
  const choice = {
    ...(where.length === 0 ? {} : { where: sql.join(where, sql` and `) }),
    ...(q === undefined ? {} : { q }),
    deactivated: search !== undefined || filter !== undefined,
  };
  if (search !== undefined && sortBy !== undefined) {
    const sort = await sortUsers(api, { ...query, sortBy });
    const users = await showUsers(api.reads, choice, { limit: limit + 1, sort }, shown_names);
    return { users, limit, after: sortCursor({ ...query, sortBy }) };
  }
  const from = idCursor(query.after, "00u");
  const after = from === undefined ? {} : { after: from };
  const users = await showUsers(api.reads, choice, { limit: limit + 1, ...after }, shown_names);
  return { users, limit, after: (last) => last.id };
}

/** The user that a path names, or 404. */
export async function oneUser(api: Api, id_or_login: string): Promise<StoredUser> {
  return found(await getUser(api.db, id_or_login), id_or_login, "User");
}

/** As `must`; what somebody else has, and a password that the policy refuses, are said in Okta's words. */
function mustBeFree<T>(outcome: T | Refusal, object: string): Exclude<T, Refusal> {
  if (isRefusal(outcome) && outcome.place !== undefined) {
    const { code, place, refused } = outcome;
    const taken = `${place}: An object with this field already exists in the current organization`;
    if (code === "duplicate") throw invalid(place, taken, refused);
    if (place === "password" || place === "type.id") throw invalid(place, refused);
  }
  return must(outcome, object);
}

/** Profile and credentials in one transaction. */
async function changeUser(
  api: Api,
  command: ReturnType<typeof commandOf>,
  change: UserChange,
  credentials: CredentialsInput | null | undefined,
): Promise<StoredUser> {
  const password = passwordOf(credentials);
  const recovery = credentials?.recovery_question;
  return mustBeFree(
    await run<StoredUser>(command, async (running) => {
      const changed = await updateUsers(running, [change]);
      if (isRefusal(changed)) return changed;
      let user = changed[0]?.user as StoredUser;
      if (recovery?.answer !== undefined) {
        const outcome = await changeRecovery(running, change.id, {
          question: recovery.question,
          answer: recovery.answer,
        });
        if (isRefusal(outcome)) return outcome;
        user = outcome;
      }
      if (password === undefined) return user;
      const outcome = await transitionUser(
        running,
        change.id,
        { kind: "set_password" },
        { password, key: api.tools.key },
      );
      return isRefusal(outcome) ? outcome : outcome.user;
    }),
    "profile",
  );
}
