/**
 * /api/v1/identity-sources/{id}/sessions/{id}/bulk-*: what a source loads into a session. Answered with 202 and nothing:
 * it is kept, and imported when the session is started.
 *
 * Law: a call is bounded in bytes and in entities, and is kept whole or refused whole. `bulk-upsert` sends whole people, as
 * every source's rows are: what is not named has no value any more.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { App } from "../../directory/apps.ts";
import { loadSession, session_limits } from "../../directory/importSessions.ts";
import type { SessionRecord } from "../../directory/sessionRecords.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { ApiError, must } from "../errors.ts";
import { group_profile, keptGroup } from "./identityGroups.ts";
import {
  doubles,
  external_id,
  keptProfile,
  oneSource,
  profileJudge,
  refuseFaults,
  source_profile,
} from "./identityParts.ts";
import { session_params } from "./identitySources.ts";

const { entities, bytes } = session_limits;
const many = <T extends z.ZodType>(of: T) => z.array(of).min(1).max(entities);
const entity_type = z.string().max(100).optional().describe("USERS");

const users_input = z.object({
  entityType: entity_type,
  profiles: many(z.object({ externalId: external_id, profile: source_profile })),
});
const gone_users_input = z.object({ entityType: entity_type, profiles: many(z.object({ externalId: external_id })) });
const groups_input = z.object({ profiles: many(z.object({ externalId: external_id, profile: group_profile })) });
const gone_groups_input = z.object({ externalIds: many(external_id) });
const members_input = z.object({
  // The bytes of a call bound how many members it names.
  memberships: many(
    z.object({ groupExternalId: external_id, memberExternalIds: z.array(external_id).min(1).max(bytes) }),
  ),
});

const at = (action: string) => `/api/v1/identity-sources/:app_id/sessions/:session_id/${action}`;
const options = <T extends z.ZodType>(summary: string, body: T) => ({
  ...about("sources", summary, { params: session_params, body }),
  bodyLimit: bytes,
});

/** Registers the routes. */
export function identityBulkRoutes(server: Server, api: Api): void {
  server.post(
    at("bulk-upsert"),
    options("Load people who are new or have changed", users_input),
    async (request, reply) => {
      const app = await oneSource(api, request.params.app_id);
      const { entityType, profiles } = request.body;
      requireUsers(entityType);
      const judge = await profileJudge(api, app);
      refuseFaults("profiles", [
        ...doubles("profiles", idsOf(profiles)),
        ...profiles.flatMap(({ externalId, profile }, n) => judge(`profiles.${n}.profile`, profile, externalId)),
      ]);
      const records = profiles.map(
        ({ externalId: id, profile }): SessionRecord => ({
          ...{ kind: "user", external_id: id, profile: keptProfile(id, profile) },
        }),
      );
      return load(api, request, reply, app, records);
    },
  );

  server.post(
    at("bulk-delete"),
    options("Load people who are not in the source any more", gone_users_input),
    async (request, reply) => {
      const app = await oneSource(api, request.params.app_id);
      const { entityType, profiles } = request.body;
      requireUsers(entityType);
      const ids = idsOf(profiles);
      refuseFaults("profiles", doubles("profiles", ids));
      const records = ids.map((id): SessionRecord => ({ kind: "user", external_id: id, gone: true }));
      return load(api, request, reply, app, records);
    },
  );
  bulkGroups(server, api);
  bulkMembers(server, api, "bulk-group-memberships-upsert", false);
  bulkMembers(server, api, "bulk-group-memberships-delete", true);
}

const idsOf = (profiles: readonly Readonly<{ externalId: string }>[]) => profiles.map(({ externalId }) => externalId);

function bulkGroups(server: Server, api: Api): void {
  server.post(
    at("bulk-groups-upsert"),
    options("Load groups that are new or have changed, without their members", groups_input),
    async (request, reply) => {
      const app = await oneSource(api, request.params.app_id);
      const { profiles } = request.body;
      refuseFaults("profiles", doubles("profiles", idsOf(profiles)));
      const records = profiles.map(
        ({ externalId: id, profile }): SessionRecord => ({
          ...{ kind: "group", external_id: id, profile: keptGroup(profile) },
        }),
      );
      return load(api, request, reply, app, records);
    },
  );

  server.post(
    at("bulk-groups-delete"),
    options("Load groups that are not in the source any more", gone_groups_input),
    async (request, reply) => {
      const app = await oneSource(api, request.params.app_id);
      const { externalIds } = request.body;
      refuseFaults("externalIds", doubles("externalIds", externalIds, ""));
      const records = externalIds.map((id): SessionRecord => ({ kind: "group", external_id: id, gone: true }));
      return load(api, request, reply, app, records);
    },
  );
}

function bulkMembers(server: Server, api: Api, action: string, gone: boolean): void {
  const summary = gone ? "Load who is not in a group any more" : "Load who is in a group from now on";
  server.post(at(action), options(summary, members_input), async (request, reply) => {
    const app = await oneSource(api, request.params.app_id);
    const pairs = request.body.memberships.flatMap(({ groupExternalId: group, memberExternalIds }, n) =>
      memberExternalIds.map((member, m) => ({ group, member, place: `${n}.memberExternalIds.${m}` })),
    );
    refuseFaults("memberships", doublePairs(pairs));
    const records = pairs.map(
      ({ group, member }): SessionRecord => ({ kind: "member", external_id: group, member_id: member, gone }),
    );
    return load(api, request, reply, app, records);
  });
}

type Pair = Readonly<{ group: string; member: string; place: string }>;

function doublePairs(pairs: readonly Pair[]): readonly string[] {
  const seen = new Set<string>();
  return pairs.flatMap(({ group, member, place }) => {
    const key = JSON.stringify([group, member]);
    if (!seen.has(key)) {
      seen.add(key);
      return [];
    }
    return [`memberships.${place}: is there before for the group ${group}; send each once`];
  });
}

/** @throws ApiError 400 E0000003, as Okta answers another type than the one there is. */
function requireUsers(entity: string | undefined): void {
  if (entity === "USERS") return;
  throw new ApiError(400, "E0000003", "The request body was not well-formed.", [
    "entityType: must be USERS; groups and their members have calls of their own",
  ]);
}

async function load(
  api: Api,
  request: FastifyRequest,
  reply: FastifyReply,
  app: App,
  records: readonly SessionRecord[],
): Promise<FastifyReply> {
  const { session_id } = request.params as z.infer<typeof session_params>;
  must(await loadSession(commandOf(api, request), app.id, session_id, records));
  return reply.code(202).send();
}
