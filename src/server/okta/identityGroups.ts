/**
 * /api/v1/identity-sources/{id}/groups: one group of a source at a time, and who is in it. A group is named by its id here
 * or by its id in the source. Each change is an import of one row, as for people.
 *
 * A group's `displayName` is its name here.
 */
import { z } from "zod";
import type { Profile } from "../../core/types.ts";
import type { App } from "../../directory/apps.ts";
import type { RecordProfile, SessionRecord } from "../../directory/sessionRecords.ts";
import { sql } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid } from "../errors.ts";
import { afterOf, cursor, limitOf, page, readCursor } from "../paging.ts";
import { external_id, importRecord, oneSource, source_params } from "./identityParts.ts";

const groups_url = "/api/v1/identity-sources/:app_id/groups";
const group_url = `${groups_url}/:group_or_external_id`;
const members_url = `${group_url}/membership`;
const group_params = source_params.extend({ group_or_external_id: external_id });
const member_params = group_params.extend({ member_external_id: external_id });

const text = (max: number) =>
  z
    .string()
    .max(max)
    .refine((one) => !one.includes("\0") && one.isWellFormed(), {
      error: "holds a character that cannot be stored (NUL or half of a surrogate pair)",
    });

/** What a source says of a group. */
export const group_profile = z.strictObject({
  displayName: text(255).optional(),
  description: text(1_024).nullish(),
});

const new_group = z.object({ externalId: external_id, profile: group_profile });
const part_of_group = z.object({ externalId: external_id.optional(), profile: group_profile });
const new_member = z.object({ memberExternalId: external_id });
const members_query = z.object({ after: afterOf, limit: limitOf(1_000, 1_000) });

/** A group's profile as it is kept. */
export function keptGroup({ displayName, description }: z.infer<typeof group_profile>): RecordProfile {
  return {
    ...(displayName === undefined ? {} : { displayName }),
    ...(description === undefined ? {} : { description: description || null }),
  };
}

/** Registers the routes. */
export function identityGroupRoutes(server: Server, api: Api): void {
  server.post(
    groups_url,
    about("sources", "Send a group that is new in a source", { params: source_params, body: new_group }),
    async (request, reply) => {
      const app = await oneSource(api, request.params.app_id);
      const { externalId: id, profile } = request.body;
      if ((await groupOf(api, app, id)) !== undefined) {
        throw invalid(
          "externalId",
          `externalId: ${app.label} has a group ${id} already; change it with POST ${groups_url}/${id}`,
        );
      }
      const done = await importRecord(api, commandOf(api, request), app, groupRecord(id, profile));
      const group = done ? await groupOf(api, app, id) : undefined;
      return group === undefined ? reply.code(202).send() : groupBody(group);
    },
  );

  server.get(group_url, about("sources", "A group of a source", { params: group_params }), async (request) =>
    groupBody(await oneGroupOf(api, await oneSource(api, request.params.app_id), request.params.group_or_external_id)),
  );

  server.post(
    group_url,
    about("sources", "Send what changed of a group", { params: group_params, body: part_of_group }),
    async (request, reply) => {
      const app = await oneSource(api, request.params.app_id);
      const { external_id: id } = await oneGroupOf(api, app, request.params.group_or_external_id);
      const { externalId, profile } = request.body;
      if (externalId !== undefined && externalId !== id) {
        throw invalid(
          "externalId",
          `externalId: never changes, and is ${id} here; delete the one and create the other`,
        );
      }
      const record = { ...groupRecord(id, profile), partial: true };
      const done = await importRecord(api, commandOf(api, request), app, record);
      return done ? groupBody(await oneGroupOf(api, app, id)) : reply.code(202).send();
    },
  );

  server.delete(
    group_url,
    about("sources", "Send that a group is not in a source any more", { params: group_params }),
    async (request, reply) => {
      const app = await oneSource(api, request.params.app_id);
      const { external_id: id } = await oneGroupOf(api, app, request.params.group_or_external_id);
      const done = await importRecord(api, commandOf(api, request), app, {
        kind: "group",
        external_id: id,
        gone: true,
      });
      return reply.code(done ? 204 : 202).send();
    },
  );
  memberRoutes(server, api);
}

const groupRecord = (id: string, profile: z.infer<typeof group_profile>): SessionRecord => ({
  ...{ kind: "group", external_id: id, profile: keptGroup(profile) },
});

/** Who is in a group of a source. */
function memberRoutes(server: Server, api: Api): void {
  server.get(
    members_url,
    about("sources", "Who is in a group of a source", { params: group_params, querystring: members_query }),
    async (request, reply) => {
      const app = await oneSource(api, request.params.app_id);
      const group = await oneGroupOf(api, app, request.params.group_or_external_id);
      const { after, limit } = request.query;
      const [from] = readCursor(after) ?? [];
      const { rows } = await sql<{ external_id: string }>`
        select a.external_id from membership_grants m
        join accounts a on a.app_id = ${app.id} and a.user_id = m.user_id and a.external_id is not null
        where m.group_id = ${group.id} and m.kind = 'import' and m.source_id = ${app.id}
          and a.external_id > ${typeof from === "string" ? from : ""}
        order by a.external_id limit ${limit + 1}`.execute(api.db);
      const members = page(request, reply, rows, limit, (last) => cursor(last.external_id));
      return { memberExternalIds: members.map(({ external_id: id }) => id) };
    },
  );

  server.post(
    members_url,
    about("sources", "Send that a person is in a group", { params: group_params, body: new_member }),
    async (request, reply) => {
      const { app_id, group_or_external_id: group } = request.params;
      const done = await sendMember(api, commandOf(api, request), {
        app_id,
        group,
        member: request.body.memberExternalId,
      });
      return reply.code(done ? 204 : 202).send();
    },
  );

  server.delete(
    `${members_url}/:member_external_id`,
    about("sources", "Send that a person is not in a group any more", { params: member_params }),
    async (request, reply) => {
      const { app_id, group_or_external_id: group, member_external_id: member } = request.params;
      const done = await sendMember(api, commandOf(api, request), { app_id, group, member, gone: true });
      return reply.code(done ? 204 : 202).send();
    },
  );
}

async function sendMember(
  api: Api,
  command: ReturnType<typeof commandOf>,
  { app_id, group, member, gone = false }: Readonly<{ app_id: string; group: string; member: string; gone?: boolean }>,
): Promise<boolean> {
  const app = await oneSource(api, app_id);
  const { external_id: id } = await oneGroupOf(api, app, group);
  const { rows } = await sql`
    select 1 from accounts where app_id = ${app.id} and external_id = ${member}`.execute(api.db);
  found(rows[0], member, "User");
  return importRecord(api, command, app, { kind: "member", external_id: id, member_id: member, gone });
}

type Group = Readonly<{ id: string; external_id: string; profile: Profile }>;

async function groupOf(api: Api, app: App, text: string): Promise<Group | undefined> {
  const { rows } = await sql<Group>`
    select id, external_id, profile from groups where source_app_id = ${app.id} and (external_id = ${text} or id = ${text})
    order by external_id = ${text} desc limit 1`.execute(api.db);
  return rows[0];
}

async function oneGroupOf(api: Api, app: App, text: string): Promise<Group> {
  return found(await groupOf(api, app, text), text, "UserGroup");
}

/** Flat, as the service answers; its specification has a `profile` within the profile. */
function groupBody({ id, external_id, profile }: Group) {
  const { name, description } = profile;
  return { id, externalId: external_id, profile: { displayName: name ?? null, description: description ?? null } };
}
