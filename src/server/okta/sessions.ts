/**
 * /api/v1/sessions: a session of a person who signed in, made of the token that /authn gave. A session opens nothing here;
 * programs ask whether one is still alive.
 */
import { z } from "zod";
import { log } from "../../directory/command.ts";
import {
  beginSession,
  endSession,
  endSessions,
  getSession,
  refreshSession,
  type Session,
  takeToken,
} from "../../directory/sessions.ts";
import { getUser, type StoredUser } from "../../directory/userQueries.ts";
import { userTarget } from "../../directory/userState.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, found, notFound } from "../errors.ts";
import { date, hinted, org_id } from "./links.ts";
import { oneUser, user_params } from "./users.ts";

const params = z.object({ session_id: z.string().max(200) });
const sessions = "/api/v1/sessions";
const one = "/api/v1/sessions/:session_id";

/** Registers the routes. */
export function sessionRoutes(server: Server, api: Api): void {
  const body = z.object({ sessionToken: z.string().min(1).max(500) });
  server.post(sessions, about("sessions", "Make a session of a sign-in's token", { body }), async (request) => {
    const command = commandOf(api, request);
    const taken = await takeToken(command, request.body.sessionToken, ["session"]);
    const user = taken && (await getUser(api.db, taken.user_id));
    if (user === undefined || user.status !== "ACTIVE") throw new ApiError(401, "E0000004", "Authentication failed");
    const { id, session } = await beginSession(command, user.id);
    return sessionBody(id, session, user, request.base_url, "me");
  });
  server.get(one, about("sessions", "A session", { params }), async (request) => {
    const { session_id } = request.params;
    const session = found(await getSession(api.db, session_id, api.world.now()), session_id, "AppSession");
    return bodyOf(session_id, session, request.base_url);
  });
  server.post(`${one}/lifecycle/refresh`, about("sessions", "Let a session live on", { params }), async (request) => {
    const { session_id } = request.params;
    const session = found(await refreshSession(commandOf(api, request), session_id), session_id, "AppSession");
    return bodyOf(session_id, session, request.base_url);
  });
  server.delete(one, about("sessions", "End a session", { params }), async (request, reply) => {
    const { session_id } = request.params;
    const command = commandOf(api, request);
    const user_id = found(await endSession(command, session_id), session_id, "AppSession");
    const user = await getUser(api.db, user_id);
    if (user !== undefined) await log(command, { type: "user.session.end", targets: [userTarget(user)], user_id });
    return reply.code(204).send();
  });
  server.delete(
    "/api/v1/users/:user_id/sessions",
    about("credentials", "End every session of a person", { params: user_params }),
    async (request, reply) => {
      const user = await oneUser(api, request.params.user_id);
      const command = commandOf(api, request);
      const ended = await endSessions(command, [user.id]);
      const target = { targets: [userTarget(user)], user_id: user.id };
      if (ended > 0) await log(command, { type: "user.session.clear", ...target, detail: { ended } });
      return reply.code(204).send();
    },
  );

  async function bodyOf(id: string, session: Session, base: string) {
    const user = await getUser(api.db, session.user_id);
    if (user === undefined) throw notFound(id, "AppSession");
    return sessionBody(id, session, user, base, id);
  }
}

/** `named`: how the links call the session and its person. */
function sessionBody(
  id: string,
  session: Session,
  { id: user_id, login, profile }: StoredUser,
  base: string,
  named: string,
) {
  const self = `${base}${sessions}/${named}`;
  const name = [profile["firstName"], profile["lastName"]].filter(Boolean).join(" ");
  return {
    id,
    userId: user_id,
    login: String(profile["login"] ?? login),
    createdAt: date(session.created_at),
    expiresAt: date(session.expires_at),
    status: "ACTIVE",
    lastPasswordVerification: date(session.password_at),
    lastFactorVerification: null,
    amr: ["pwd"],
    idp: { id: org_id, type: "OKTA" },
    mfaActive: false,
    _links: {
      self: hinted(self, "GET", "DELETE"),
      refresh: hinted(`${self}/lifecycle/refresh`, "POST"),
      user: { name, ...hinted(`${base}/api/v1/users/${named === "me" ? "me" : user_id}`, "GET") },
    },
  };
}
