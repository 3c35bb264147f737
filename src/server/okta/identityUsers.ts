/**
 * /api/v1/identity-sources/{id}/users: one person of a source at a time. Each change is an import of one row: matched,
 * mapped, guarded and logged like any other. Answered with what the source has then, or with 202 where that waits: behind
 * an import that is running, for a match to be confirmed, or for a guard's decision.
 */
import { z } from "zod";
import type { Profile } from "../../core/types.ts";
import type { App } from "../../directory/apps.ts";
import type { SessionRecord } from "../../directory/sessionRecords.ts";
import { sql } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid } from "../errors.ts";
import {
  external_id,
  importRecord,
  keptProfile,
  oneSource,
  profileJudge,
  refuseFaults,
  source_params,
  source_profile,
} from "./identityParts.ts";
import { date } from "./links.ts";

const users_url = "/api/v1/identity-sources/:app_id/users";
const user_url = `${users_url}/:external_id`;
const user_params = source_params.extend({ external_id });
const new_user = z.object({ externalId: external_id, profile: source_profile });
const whole_user = z.object({ externalId: external_id.optional(), profile: source_profile });
const part_of_user = z.object({ externalId: external_id.optional(), profile: source_profile });

/** Registers the routes. */
export function identityUserRoutes(server: Server, api: Api): void {
  server.post(
    users_url,
    about("sources", "Send a person who is new in a source", { params: source_params, body: new_user }),
    async (request, reply) => {
      const app = await oneSource(api, request.params.app_id);
      const { externalId: id, profile } = request.body;
      await judge(api, app, id, profile);
      if ((await personOf(api, app, id)) !== undefined) {
        throw invalid(
          "externalId",
          `externalId: ${app.label} has ${id} already; replace it with PUT, or change it with PATCH`,
        );
      }
      const done = await importRecord(api, commandOf(api, request), app, userRecord(id, profile));
      return answer(api, app, id, done, (code, body) => reply.code(code).send(body));
    },
  );

  server.get(
    user_url,
    about("sources", "A person as their source has them", { params: user_params }),
    async (request) => {
      const app = await oneSource(api, request.params.app_id);
      return userBody(await onePerson(api, app, request.params.external_id));
    },
  );

  for (const [method, partial, body] of [
    ["PUT", false, whole_user],
    ["PATCH", true, part_of_user],
  ] as const) {
    const summary = partial
      ? "Send the attributes of a person that changed"
      : "Send a person anew, with all attributes";
    server.route({
      ...{ method, url: user_url, ...about("sources", summary, { params: user_params, body }) },
      handler: async (request, reply) => {
        const app = await oneSource(api, request.params.app_id);
        const { external_id: id } = request.params;
        const { externalId, profile } = request.body;
        if (externalId !== undefined && externalId !== id) {
          throw invalid(
            "externalId",
            `externalId: never changes, and is ${id} here; delete the one and create the other`,
          );
        }
        await judge(api, app, id, profile);
        await onePerson(api, app, id);
        const record = { ...userRecord(id, profile), partial };
        const done = await importRecord(api, commandOf(api, request), app, record);
        return answer(api, app, id, done, (code, sent) => reply.code(code).send(sent));
      },
    });
  }

  server.delete(
    user_url,
    about("sources", "Send that a person is not in a source any more", { params: user_params }),
    async (request, reply) => {
      const app = await oneSource(api, request.params.app_id);
      const { external_id: id } = request.params;
      await onePerson(api, app, id);
      const done = await importRecord(api, commandOf(api, request), app, { kind: "user", external_id: id, gone: true });
      return reply.code(done ? 204 : 202).send();
    },
  );
}

const userRecord = (id: string, profile: z.infer<typeof source_profile>): SessionRecord => ({
  ...{ kind: "user", external_id: id, profile: keptProfile(id, profile) },
});

async function judge(api: Api, app: App, id: string, profile: z.infer<typeof source_profile>): Promise<void> {
  refuseFaults("profile", (await profileJudge(api, app))("profile", profile, id));
}

type Person = Readonly<{
  user_id: string;
  external_id: string;
  profile: Profile;
  created_at: Date;
  updated_at: Date;
}>;

/** A person whom a source has now. */
async function personOf(api: Api, { id }: App, external_id: string): Promise<Person | undefined> {
  const { rows } = await sql<Person>`
    select user_id, external_id, have->'profile' as profile, created_at, updated_at from accounts
    where app_id = ${id} and external_id = ${external_id} and (have->>'enabled')::boolean`.execute(api.db);
  return rows[0];
}

async function onePerson(api: Api, app: App, external_id: string): Promise<Person> {
  return found(await personOf(api, app, external_id), external_id, "User");
}

async function answer<T>(
  api: Api,
  app: App,
  external_id: string,
  done: boolean,
  send: (code: number, body?: ReturnType<typeof userBody>) => T,
): Promise<T> {
  const person = done ? await personOf(api, app, external_id) : undefined;
  return person === undefined ? send(202) : send(200, userBody(person));
}

/** `id`: of the person here, as in /api/v1/users. */
function userBody({ user_id, external_id, profile, created_at, updated_at }: Person) {
  const { externalId: _, ...rest } = profile;
  return {
    ...{ id: user_id, externalId: external_id, profile: rest },
    ...{ created: date(created_at), lastUpdated: date(updated_at) },
  };
}
