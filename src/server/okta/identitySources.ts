/**
 * /api/v1/identity-sources/{id}/sessions: how a source sends many people at once (okta-api 4.8, Okta's
 * "Anything-as-a-Source"). A session is made, loaded (identityBulk.ts), and started; an import carries it out in the
 * background, and its status says when.
 *
 * An identity source is an app of kind push with sourcing on. Single records are identityUsers.ts and identityGroups.ts.
 */
import { z } from "zod";
import {
  activeSessions,
  closeSession,
  createSession,
  getSession,
  type ImportSession,
  triggerSession,
} from "../../directory/importSessions.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, must } from "../errors.ts";
import { setLinks } from "../paging.ts";
import { oneSource, source_params } from "./identityParts.ts";
import { date } from "./links.ts";

const sessions_url = "/api/v1/identity-sources/:app_id/sessions";
const session_url = `${sessions_url}/:session_id`;
export const session_params = source_params.extend({ session_id: z.string().min(1).max(100) });

/** Registers the routes. */
export function identitySourceRoutes(server: Server, api: Api): void {
  server.get(
    sessions_url,
    about("sources", "The sessions of a source that are loaded, or wait to be imported", { params: source_params }),
    async (request, reply) => {
      const { id } = await oneSource(api, request.params.app_id);
      setLinks(request, reply, undefined);
      return (await activeSessions(api.db, id)).map(sessionBody);
    },
  );

  server.post(
    sessions_url,
    about("sources", "Begin a session, to load people and groups into", { params: source_params }),
    async (request, reply) => {
      const { id } = await oneSource(api, request.params.app_id);
      const session = must(await createSession(commandOf(api, request), id));
      return reply.code(201).send(sessionBody(session));
    },
  );

  server.get(session_url, about("sources", "How far a session is", { params: session_params }), async (request) => {
    const { app_id, session_id } = request.params;
    const { id } = await oneSource(api, app_id);
    const session = await getSession(api.db, id, session_id);
    return sessionBody(found(session?.single ? undefined : session, session_id, "IdentitySourceSession"));
  });

  server.delete(
    session_url,
    about("sources", "Close a session that was not started, and forget what it holds", { params: session_params }),
    async (request, reply) => {
      const { app_id, session_id } = request.params;
      const { id } = await oneSource(api, app_id);
      must(await closeSession(commandOf(api, request), id, session_id));
      return reply.code(204).send();
    },
  );

  server.post(
    `${session_url}/start-import`,
    about("sources", "Import what a session holds, in the background", { params: session_params }),
    async (request) => {
      const { app_id, session_id } = request.params;
      const { id } = await oneSource(api, app_id);
      return sessionBody(must(await triggerSession(commandOf(api, request), id, session_id)));
    },
  );
}

/**
 * A session in Okta's form. More than Okta tells: `importId` (the import that carries it out, or did), `held` (a guard
 * waits for a person's decision about that import), `reason` (of an ERROR).
 */
function sessionBody({ id, app_id, status, created_at, updated_at, held, import_id, reason }: ImportSession) {
  return {
    ...{ id, identitySourceId: app_id, status, importType: "INCREMENTAL" },
    ...{ created: date(created_at), lastUpdated: date(updated_at) },
    ...(import_id === null ? {} : { importId: import_id, held }),
    ...(reason === null ? {} : { reason }),
  };
}
