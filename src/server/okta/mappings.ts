/**
 * /api/v1/mappings: how a profile becomes an account's and back (okta-api 4.6). `pushStatus` PUSH is our push always,
 * DONT_PUSH our push at creation only. What Okta cannot say (what an empty value does) stays as it is on a change.
 */
import { z } from "zod";
import type { App } from "../../directory/apps.ts";
import {
  editMapping,
  listMappings,
  type Mapping,
  type MappingChange,
  type MappingRefusal,
  readMapping,
} from "../../directory/mappings.ts";
import { type Database, sql } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { found, invalid, must } from "../errors.ts";
import { afterOf, idCursor, limitOf, page } from "../paging.ts";
import { user_schema_id, user_type_id } from "./links.ts";

const params = z.object({ mapping_id: z.string().min(1).max(100) });
const list_query = z.object({
  sourceId: z.string().max(100).optional().describe("An app's id, or the user type's"),
  targetId: z.string().max(100).optional(),
  after: afterOf,
  limit: limitOf(20, 200),
});
const property = z.object({
  expression: z.string().max(20_000).nullish(),
  pushStatus: z.enum(["PUSH", "DONT_PUSH"]).nullish(),
  whenEmpty: z.enum(["clear", "keep", "skip", "default"]).optional().describe("Ours: what an empty result does"),
  default: z.json().optional(),
});
const mapping_input = z.object({ properties: z.record(z.string(), property.nullable()) });

type MappedApp = Pick<App, "id" | "name">;

/** Registers the routes. */
export function mappingRoutes(server: Server, api: Api): void {
  server.get(
    "/api/v1/mappings",
    about("mappings", "List mappings", { querystring: list_query }),
    async (request, reply) => {
      const { after, limit } = request.query;
      const from = idCursor(after, "prm");
      const choice = choiceOf(request.query);
      const rows =
        choice === undefined
          ? []
          : await listMappings(api.db, { ...choice, limit: limit + 1, ...(from === undefined ? {} : { after: from }) });
      const items = page(request, reply, rows, limit, ({ id }) => id);
      const apps = await appsOf(api.db, items);
      return items.map((mapping) => headBody(mapping, apps.get(mapping.app_id), request.base_url));
    },
  );

  server.get("/api/v1/mappings/:mapping_id", about("mappings", "Read a mapping", { params }), async (request) => {
    const { mapping_id } = request.params;
    return mappingBody(
      api.db,
      found(await readMapping(api.db, mapping_id), mapping_id, "ProfileMapping"),
      request.base_url,
    );
  });

  server.post(
    "/api/v1/mappings/:mapping_id",
    about("mappings", "Change some lines of a mapping; null takes one away", { params, body: mapping_input }),
    async (request) => {
      const { mapping_id } = request.params;
      found(await readMapping(api.db, mapping_id), mapping_id, "ProfileMapping");
      const lines = Object.entries(request.body.properties).map(([name, line]) => [
        name,
        line === null || line.expression === null ? null : lineOf(line),
      ]);
      const outcome = await editMapping(
        commandOf(api, request),
        mapping_id,
        Object.fromEntries(lines) as MappingChange,
      );
      const { problems } = outcome as Partial<MappingRefusal>;
      if (problems !== undefined)
        throw invalid("updateMapping", ...problems.map((one) => `${one.attribute}: ${one.message}`));
      return mappingBody(api.db, must(outcome, "updateMapping"), request.base_url);
    },
  );
}

function lineOf(line: z.infer<typeof property>) {
  return {
    ...(line.expression ? { expression: line.expression } : {}),
    ...(line.pushStatus ? { push: line.pushStatus === "PUSH" ? ("always" as const) : ("create" as const) } : {}),
    ...(line.whenEmpty ? { when_empty: line.whenEmpty } : {}),
    ...(line.default === undefined ? {} : { default: line.default }),
  };
}

/** Which of our mappings; undefined: none can be meant. */
function choiceOf({ sourceId, targetId }: z.infer<typeof list_query>) {
  const isUser = (id: string | undefined) => id === user_type_id;
  const apps = [sourceId, targetId].filter((id) => id !== undefined && !isUser(id));
  if (apps.length > 1 || (isUser(sourceId) && isUser(targetId))) return undefined;
  const app_id = apps[0];
  const to_app = isUser(sourceId) || (targetId !== undefined && !isUser(targetId));
  const to_user = isUser(targetId) || (sourceId !== undefined && !isUser(sourceId));
  return {
    ...(app_id === undefined ? {} : { app_id }),
    ...(to_app ? { direction: "to_app" as const } : to_user ? { direction: "to_user" as const } : {}),
  };
}

async function appsOf(db: Database, mappings: readonly Mapping[]): Promise<ReadonlyMap<string, MappedApp>> {
  const ids = mappings.map(({ app_id }) => app_id);
  const { rows } = await sql<MappedApp>`select id, name from apps where id = any(${ids}::text[])`.execute(db);
  return new Map(rows.map((row) => [row.id, row]));
}

async function mappingBody(db: Database, mapping: Mapping, base: string) {
  const apps = await appsOf(db, [mapping]);
  const { _links, ...head } = headBody(mapping, apps.get(mapping.app_id), base);
  const properties = Object.entries(mapping.lines).map(([name, line]) => [
    name,
    {
      expression: line.expression,
      pushStatus: line.push === "always" ? "PUSH" : "DONT_PUSH",
      whenEmpty: line.when_empty,
      ...(line.default === undefined ? {} : { default: line.default }),
    },
  ]);
  return { ...head, properties: Object.fromEntries(properties), _links };
}

function headBody(mapping: Mapping, app: MappedApp | undefined, base: string) {
  const account = {
    id: mapping.app_id,
    name: app?.name ?? "",
    type: "appuser",
    _links: {
      self: { href: `${base}/api/v1/apps/${mapping.app_id}` },
      schema: { href: `${base}/api/v1/meta/schemas/apps/${mapping.app_id}/default` },
    },
  };
  const user = {
    id: user_type_id,
    name: "user",
    type: "user",
    _links: {
      self: { href: `${base}/api/v1/meta/types/user/${user_type_id}` },
      schema: { href: `${base}/api/v1/meta/schemas/user/${user_schema_id}` },
    },
  };
  const [source, target] = mapping.direction === "to_app" ? [user, account] : [account, user];
  return { id: mapping.id, source, target, _links: { self: { href: `${base}/api/v1/mappings/${mapping.id}` } } };
}
