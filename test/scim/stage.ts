/** A source that pushes over SCIM: a server over a database, the source's token, and calls with it. */
import { runNextSession } from "../../src/engine/sessionRuns.ts";
import type { Database } from "../../src/store/database.ts";
import { type TestApi, testApi } from "../support/api.ts";
import { type IdentityWorld, identityWorld } from "../support/identity.ts";

export type ScimAnswer = Readonly<{
  status: number;
  body: ReturnType<typeof JSON.parse>;
  headers: Readonly<Record<string, unknown>>;
}>;

export type Pusher = Readonly<{
  app_id: string;
  token: string;
  call(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<ScimAnswer>;
  /** Creates a user and gives the id. */
  user(name: string, more?: object): Promise<string>;
  group(name: string, members?: readonly string[]): Promise<string>;
}>;

export type ScimStage = Readonly<{
  api: TestApi;
  world: IdentityWorld;
  source(label: string, options?: Readonly<{ strict?: boolean; sourcing?: object }>): Promise<Pusher>;
  importNext(): Promise<boolean>;
}>;

export const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
export const core = "urn:ietf:params:scim:schemas:core:2.0:User";
export const group_urn = "urn:ietf:params:scim:schemas:core:2.0:Group";
export const patch_urn = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/** A user as a client sends one. */
export const userOf = (name: string, more: object = {}) => ({
  ...{ schemas: [core], userName: `${name}@example.com`, externalId: `x-${name}` },
  ...{ name: { givenName: "Given", familyName: "Family" }, active: true },
  emails: [{ value: `${name}@example.com`, type: "work", primary: true }],
  ...more,
});

export async function scimStage(db: Database): Promise<ScimStage> {
  const world = identityWorld(db);
  const api = await testApi(db, { world });
  return {
    api,
    world,
    source: (label, options) => newSource(api, label, options),
    importNext: () => runNextSession(world),
  };
}

async function newSource(
  api: TestApi,
  label: string,
  { strict = false, sourcing = {} }: Readonly<{ strict?: boolean; sourcing?: object }> = {},
): Promise<Pusher> {
  const ok = async (method: string, path: string, body?: unknown) => {
    const answer = await api.call(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const { id } = await ok("POST", "/api/v1/apps", { name: "scim_in", label });
  await ok("PATCH", `/admin/v1/apps/${id}`, { sourcing, config: { strict } });
  const { text } = await ok("POST", "/admin/v1/tokens", { name: label, role: `SOURCE:${id}` });
  const call: Pusher["call"] = async (method, path, body, headers = {}) => {
    const answer = await api.server.inject({
      ...{ method: method as "GET", url: `/scim/v2${path}` },
      headers: {
        ...{ host: "tenure.test", authorization: `Bearer ${text}` },
        ...(body === undefined ? {} : { "content-type": "application/scim+json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return {
      status: answer.statusCode,
      body: answer.body === "" ? undefined : JSON.parse(answer.body),
      headers: answer.headers,
    };
  };
  const make = async (path: string, body: object) => {
    const made = await call("POST", path, body);
    if (made.status !== 201) throw new Error(`POST ${path}: ${made.status} ${JSON.stringify(made.body)}`);
    return made.body.id as string;
  };
  return {
    ...{ app_id: id, token: text, call },
    user: (name, more) => make("/Users", userOf(name, more)),
    group: (name, members = []) =>
      make("/Groups", { schemas: [group_urn], displayName: name, members: members.map((value) => ({ value })) }),
  };
}
