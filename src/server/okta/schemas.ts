/**
 * /api/v1/meta: the schemas of users, groups and apps, and the one type of user (okta-api 4.6). A POST merges:
 * attributes that are not named stay, null takes one away.
 */
import { z } from "zod";
import type { Refusal } from "../../core/types.ts";
import { type Command, run } from "../../directory/command.ts";
import { loadSchema, type SchemaKind, type StoredSchema } from "../../directory/schemaQueries.ts";
import { defineAttributes, putAppSchema, removeAttributes } from "../../directory/schemas.ts";
import { readSetting, setSetting } from "../../directory/settings.ts";
import { type Database, isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must, notFound } from "../errors.ts";
import { app_params, oneApp } from "./apps.ts";
import { date, user_schema_id, user_type_id } from "./links.ts";
import {
  attributeBody,
  definitionOf,
  type Extras,
  extraOf,
  groupSchemaHead,
  isTree,
  schemaBody,
  type Tree,
  userSchemaHead,
  userSchemaLinks,
} from "./schemaBody.ts";

const part = z.looseObject({ properties: z.record(z.string().max(100), z.json()).nullish() }).nullish();
const schema_input = z.looseObject({ definitions: z.looseObject({ custom: part, base: part }).nullish() });
type SchemaInput = z.infer<typeof schema_input>;

/** Registers the routes. */
export function schemaRoutes(server: Server, api: Api): void {
  const params = z.object({ schema_id: z.string().max(100) });
  const users = "/api/v1/meta/schemas/user/:schema_id";
  const userBodyOf = async (base: string) => ({
    ...schemaBody(await stored(api.db, "user"), await extrasOf(api.db, "user"), userSchemaHead, base),
    _links: userSchemaLinks(base),
  });
  server.get(users, about("schemas", "The schema of users", { params }), async (request) => {
    requireDefault(request.params.schema_id);
    return userBodyOf(request.base_url);
  });
  server.post(
    users,
    about("schemas", "Add, change or (null) remove attributes of users", { params, body: schema_input }),
    async (request) => {
      requireDefault(request.params.schema_id);
      await mergeSchema(commandOf(api, request), "user", request.body);
      return userBodyOf(request.base_url);
    },
  );

  const groups = "/api/v1/meta/schemas/group/default";
  const groupBodyOf = async (base: string) => ({
    ...schemaBody(await stored(api.db, "group"), await extrasOf(api.db, "group"), groupSchemaHead, base),
    _links: { self: { rel: "self", href: `${base}${groups}`, method: "GET" } },
  });
  server.get(groups, about("schemas", "The schema of groups"), async (request) => groupBodyOf(request.base_url));
  server.post(
    groups,
    about("schemas", "Add, change or (null) remove attributes of groups", { body: schema_input }),
    async (request) => {
      await mergeSchema(commandOf(api, request), "group", request.body);
      return groupBodyOf(request.base_url);
    },
  );

  appSchemas(server, api);
  userTypes(server, api);
}

function requireDefault(id: string): void {
  if (id !== "default" && id !== user_schema_id) throw notFound(id, "Schema");
}

async function stored(db: Database, kind: SchemaKind, app_id: string | null = null): Promise<StoredSchema> {
  return found(await loadSchema(db, kind, app_id), app_id ?? "default", "Schema");
}

async function extrasOf(db: Database, kind: "user" | "group"): Promise<Extras> {
  const kept = await readSetting(db, `okta.schema.${kind}`);
  return isTree(kept) ? (kept as Extras) : {};
}

/** All of a change or nothing of it. */
async function mergeSchema(command: Command, kind: "user" | "group", input: SchemaInput): Promise<void> {
  const sent = Object.entries(input.definitions?.custom?.properties ?? {});
  must(
    await run<"merged">(command, async (running): Promise<"merged" | Refusal> => {
      const before = await stored(running.db, kind);
      const known = new Map(before.attributes.map((attribute) => [attribute.name, attribute]));
      const definitions = sent.flatMap(([name, value]) => {
        const was = known.get(name);
        // What is not said about an attribute stays as it is.
        return isTree(value)
          ? [definition(name, was === undefined ? value : { ...attributeBody(was, undefined), ...value })]
          : [];
      });
      const removed = sent.filter(([name, value]) => value === null && known.has(name)).map(([name]) => name);
      const gone = removed.length === 0 ? undefined : await removeAttributes(running, kind, removed);
      if (isRefusal(gone)) return gone;
      const made = definitions.length === 0 ? undefined : await defineAttributes(running, kind, definitions);
      if (isRefusal(made)) return made;
      const extras = new Map(Object.entries(await extrasOf(running.db, kind)));
      for (const [name, value] of sent) {
        if (isTree(value)) extras.set(name, extraOf(value));
        else extras.delete(name);
      }
      const kept = await setSetting(running, `okta.schema.${kind}`, Object.fromEntries(extras));
      return isRefusal(kept) ? kept : "merged";
    }),
    "schema",
  );
}

function definition(name: string, value: Tree) {
  const made = definitionOf(name, value);
  if (made === undefined)
    throw invalid(
      "schema",
      `${name}: the type must be string, number, integer, boolean, object or array of one of them`,
    );
  return made;
}

function appSchemas(server: Server, api: Api): void {
  const url = "/api/v1/meta/schemas/apps/:app_id/default";
  const bodyOf = async (app_id: string, base: string) => {
    const app = await oneApp(api, app_id);
    const schema = await loadSchema(api.db, "app", app.id);
    const head = { name: app.name, title: `${app.label} User`, description: `Profile of accounts in ${app.label}` };
    const made = schema ?? {
      id: app.id,
      kind: "app" as const,
      app_id: app.id,
      attributes: [],
      created_at: app.created_at,
      updated_at: app.updated_at,
    };
    const self = `${base}/api/v1/meta/schemas/apps/${app.id}/default`;
    return {
      ...schemaBody(made, {}, head, base),
      id: self,
      _links: { self: { rel: "self", href: self, method: "GET" } },
    };
  };
  server.get(url, about("schemas", "The attributes of an app's accounts", { params: app_params }), async (request) =>
    bodyOf(request.params.app_id, request.base_url),
  );
  server.post(
    url,
    about("schemas", "Add, change or (null) remove attributes of an app's accounts", {
      params: app_params,
      body: schema_input,
    }),
    async (request) => {
      const app = await oneApp(api, request.params.app_id);
      const before = (await loadSchema(api.db, "app", app.id))?.attributes ?? [];
      const attributes = new Map(before.map((attribute) => [attribute.name, attribute]));
      const sent = { ...request.body.definitions?.base?.properties, ...request.body.definitions?.custom?.properties };
      for (const [name, value] of Object.entries(sent)) {
        if (value === null) attributes.delete(name);
        if (!isTree(value)) continue;
        const was = attributes.get(name);
        // What a client does not say about a known attribute stays as the app has it.
        const { type, array, ...made } = definition(
          name,
          was === undefined ? value : { ...attributeBody(was, undefined), ...value },
        );
        const plain = { readable: true, case_exact: true, writable: "always" as const, required: false, unique: false };
        attributes.set(name, {
          ...plain,
          ...was,
          ...made,
          type: was?.type ?? type,
          array: was?.array ?? array ?? false,
        });
      }
      must(await putAppSchema(commandOf(api, request), app.id, [...attributes.values()]), "schema");
      return bodyOf(app.id, request.base_url);
    },
  );
}

function userTypes(server: Server, api: Api): void {
  const body = async (base: string) => {
    const schema = await stored(api.db, "user");
    return {
      id: user_type_id,
      displayName: "User",
      name: "user",
      description: "Okta user profile template with default permission settings",
      createdBy: "system",
      lastUpdatedBy: "system",
      created: date(schema.created_at),
      lastUpdated: date(schema.created_at),
      default: true,
      _links: {
        schema: { rel: "schema", href: `${base}/api/v1/meta/schemas/user/${user_schema_id}`, method: "GET" },
        self: { rel: "self", href: `${base}/api/v1/meta/types/user/${user_type_id}`, method: "GET" },
      },
    };
  };
  server.get("/api/v1/meta/types/user", about("schemas", "The type of users"), async (request) => [
    await body(request.base_url),
  ]);
  const params = z.object({ type_id: z.string().max(100) });
  server.get("/api/v1/meta/types/user/:type_id", about("schemas", "The type of users", { params }), async (request) => {
    const { type_id } = request.params;
    if (type_id !== "default" && type_id !== user_type_id) throw notFound(type_id, "CVDType");
    return body(request.base_url);
  });
}
