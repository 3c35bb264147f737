/**
 * /api/v1/meta: the schemas of users (one for each type of them), groups and apps (okta-api 4.6). A POST merges: attributes
 * that are not named stay, null takes one away.
 */
import { z } from "zod";
import type { AttributeDefinition } from "../../core/schema.ts";
import type { Attribute, Refusal } from "../../core/types.ts";
import { adoptAppSchema } from "../../directory/apps.ts";
import { type Command, run } from "../../directory/command.ts";
import {
  default_type_id,
  loadSchema,
  type SchemaKind,
  type StoredSchema,
  schemaOfType,
} from "../../directory/schemaQueries.ts";
import { defineAttributes, removeAttributes } from "../../directory/schemas.ts";
import { readSetting, setSetting } from "../../directory/settings.ts";
import { getUserType, removeTypeAttributes, storedTypeId, type UserType } from "../../directory/userTypes.ts";
import { type Database, isRefusal } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must } from "../errors.ts";
import { schemaIdOf } from "./links.ts";
import { app_params, oneApp } from "./oneApp.ts";
import {
  attributeBody,
  baseExtra,
  definitionOf,
  type Extras,
  extraOf,
  groupSchemaHead,
  isTree,
  loginPattern,
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
  const userBodyOf = async (type: UserType, base: string) => {
    const union = await stored(api.db, "user");
    const schema = { ...union, ...schemaOfType(union, storedTypeId(type.id)) };
    return {
      ...schemaBody(schema, await extrasOf(api.db, "user"), userSchemaHead(type), base),
      ...(storedTypeId(type.id) === null ? {} : { id: `${base}/meta/schemas/user/${schemaIdOf(type.id)}` }),
      _links: userSchemaLinks(type, base),
    };
  };
  server.get(users, about("schemas", "The schema of a type of users", { params }), async (request) =>
    userBodyOf(await typeOfSchema(api.db, request.params.schema_id), request.base_url),
  );
  server.post(
    users,
    about("schemas", "Add, change or (null) remove attributes of a type of users", { params, body: schema_input }),
    async (request) => {
      const type = await typeOfSchema(api.db, request.params.schema_id);
      await mergeSchema(commandOf(api, request), "user", request.body, type.id);
      return userBodyOf(type, request.base_url);
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
}

/** The type whose schema has this id, or 404. */
async function typeOfSchema(db: Database, schema_id: string): Promise<UserType> {
  const type_id = /^osc/.test(schema_id) ? `oty${schema_id.slice(3)}` : schema_id;
  return found(
    type_id.startsWith("oty") || type_id === "default" ? await getUserType(db, type_id) : undefined,
    schema_id,
    "Schema",
  );
}

async function stored(db: Database, kind: SchemaKind, app_id: string | null = null): Promise<StoredSchema> {
  return found(await loadSchema(db, kind, app_id), app_id ?? "default", "Schema");
}

async function extrasOf(db: Database, kind: "user" | "group"): Promise<Extras> {
  const kept = await readSetting(db, `okta.schema.${kind}`);
  return isTree(kept) ? (kept as Extras) : {};
}

/** All of a change or nothing of it. */
async function mergeSchema(
  command: Command,
  kind: "user" | "group",
  input: SchemaInput,
  type_id: string = default_type_id,
): Promise<void> {
  const sent = Object.entries(input.definitions?.custom?.properties ?? {});
  const base = kind === "user" ? Object.entries(input.definitions?.base?.properties ?? {}) : [];
  must(
    await run<"merged">(command, async (running): Promise<"merged" | Refusal> => {
      const before = await stored(running.db, kind);
      const known = new Map(before.attributes.map((attribute) => [attribute.name, attribute]));
      const definitions = sent.flatMap(([name, value]) => {
        const was = known.get(name);
        if (was?.base === true && isTree(value)) {
          throw invalid("schema", `${name}: is a base attribute; change what may be changed of it under base`);
        }
        // What is not said about an attribute stays as it is.
        const whole = was === undefined ? value : { ...attributeBody(was, undefined), ...(value as Tree) };
        return isTree(value) ? [{ ...definition(name, whole as Tree), ...typesOf(was, kind, type_id) }] : [];
      });
      const rebased = base.flatMap(([name, value]) => baseChange(known.get(name), name, value) ?? []);
      const has = new Set(schemaOfType(before, kind === "user" ? storedTypeId(type_id) : null).attributes);
      const removed = sent.flatMap(([name, value]) => {
        const was = known.get(name);
        return value === null && was !== undefined && has.has(was) ? [name] : [];
      });
      const remove = () =>
        kind === "user" ? removeTypeAttributes(running, type_id, removed) : removeAttributes(running, kind, removed);
      const gone = removed.length === 0 ? undefined : await remove();
      if (isRefusal(gone)) return gone;
      const all = [...rebased, ...definitions];
      const made = all.length === 0 ? undefined : await defineAttributes(running, kind, all);
      if (isRefusal(made)) return made;
      const extras = new Map(Object.entries(await extrasOf(running.db, kind)));
      for (const [name, value] of base)
        if (isTree(value)) extras.set(name, { ...extras.get(name), ...baseExtra(value) });
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

/** What of a base attribute may be changed; the rest is sent back with it, and stays as it is. */
function baseChange(was: Attribute | undefined, name: string, value: unknown): AttributeDefinition | undefined {
  if (!isTree(value)) throw invalid("schema", `${name}: a base attribute stays; leave it empty instead`);
  if (was?.base !== true) throw invalid("schema", `${name}: is not a base attribute; define it under custom`);
  const { required } = value;
  const pattern = name === "login" ? loginPattern(value["pattern"]) : undefined;
  const optional = name === "firstName" || name === "lastName";
  if (pattern === undefined && !(optional && typeof required === "boolean")) return undefined;
  return {
    ...{ name, type: was.type },
    ...(pattern === undefined ? {} : { pattern }),
    ...(optional && typeof required === "boolean" ? { required } : {}),
  };
}

/** Which types have an attribute that is sent to the schema of this one. */
function typesOf(was: Attribute | undefined, kind: "user" | "group", type_id: string): Pick<Attribute, "types"> {
  if (kind === "group" || was?.base) return {};
  if (was === undefined) return type_id === default_type_id ? {} : { types: [type_id] };
  const types = was.types ?? [default_type_id];
  return types.includes(type_id) ? {} : { types: [...types, type_id] };
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
      must(await adoptAppSchema(commandOf(api, request), app.id, [...attributes.values()]), "schema");
      return bodyOf(app.id, request.base_url);
    },
  );
}
