/**
 * /scim/v2: SCIM 2.0 as a service, for systems that push their people and groups to us. The bearer token says which source
 * it is; each source sees and changes only what it pushed itself.
 *
 * Laws: every answer, also to a token that is wrong or a path that is not there, is in SCIM's form; a body is bounded, and
 * read by core/scim/json.ts; a route only reads the request, calls a function of this folder, and writes its reply.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { groupResource } from "../../core/scim/definitions.ts";
import { body_bytes_max, configDocument, list_urn, schemaDocuments, typeDocuments } from "../../core/scim/documents.ts";
import { type ScimFault, wrong } from "../../core/scim/fault.ts";
import { readJson } from "../../core/scim/json.ts";
import { isObject } from "../../core/scim/path.ts";
import { scimSourceOf } from "../../engine/scimSource.ts";
import { isAway } from "../../store/database.ts";
import type { Api, Server } from "../api.ts";
import { actorOf } from "../auth.ts";
import { ApiError } from "../errors.ts";
import { faultReply, notFound, type Reply, ScimError, scim_type } from "./answer.ts";
import { type BulkOperation, bulk } from "./bulk.ts";
import { createGroup, deleteGroup, getGroup, patchGroup, replaceGroup } from "./groups.ts";
import { type Query, readList } from "./reads.ts";
import { type Asked, type Caller, createUser, deleteUser, getUser, patchUser, replaceUser } from "./users.ts";

const root = "/scim/v2";

type Work = (caller: Caller, asked: Asked) => Promise<Reply>;
type Route = Readonly<{ method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"; url: string; work: Work }>;

const users: readonly Route[] = [
  { method: "GET", url: "/Users", work: (caller, { query }) => readList(caller, ["User"], query) },
  { method: "POST", url: "/Users", work: createUser },
  { method: "POST", url: "/Users/.search", work: (caller, { body }) => search(caller, ["User"], body) },
  { method: "GET", url: "/Users/:id", work: getUser },
  { method: "PUT", url: "/Users/:id", work: replaceUser },
  { method: "PATCH", url: "/Users/:id", work: patchUser },
  { method: "DELETE", url: "/Users/:id", work: deleteUser },
];

const groups: readonly Route[] = [
  { method: "GET", url: "/Groups", work: (caller, { query }) => readList(caller, ["Group"], query) },
  { method: "POST", url: "/Groups", work: createGroup },
  { method: "POST", url: "/Groups/.search", work: (caller, { body }) => search(caller, ["Group"], body) },
  { method: "GET", url: "/Groups/:id", work: getGroup },
  { method: "PUT", url: "/Groups/:id", work: replaceGroup },
  { method: "PATCH", url: "/Groups/:id", work: patchGroup },
  { method: "DELETE", url: "/Groups/:id", work: deleteGroup },
];

const resources = (caller: Caller) => [caller.source.users, groupResource];
const documents = {
  Schemas: (caller: Caller) => schemaDocuments(caller.base, resources(caller)),
  ResourceTypes: (caller: Caller) => typeDocuments(caller.base, resources(caller)),
};

const about: readonly Route[] = [
  ...(["Schemas", "ResourceTypes"] as const).flatMap((kind): Route[] => [
    { method: "GET", url: `/${kind}`, work: async (caller) => documentList(documents[kind](caller)) },
    {
      method: "GET",
      url: `/${kind}/:id`,
      work: async (caller, { id }) => oneDocument(documents[kind](caller), kind, id),
    },
  ]),
  {
    ...{ method: "GET", url: "/ServiceProviderConfig" },
    work: async (caller) => ({ status: 200, body: configDocument(caller.base, caller.source.strict) }),
  },
  ...(["GET", "POST", "PUT", "PATCH", "DELETE"] as const).map((method): Route => ({ method, url: "/Me", work: notMe })),
];

const routes: readonly Route[] = [
  ...[...users, ...groups, ...about],
  { method: "GET", url: "/", work: (caller, { query }) => readList(caller, ["User", "Group"], query) },
  { method: "POST", url: "/.search", work: (caller, { body }) => search(caller, ["User", "Group"], body) },
  { method: "POST", url: "/Bulk", work: (caller, { body }) => bulk(caller, body, dispatch) },
];

async function notMe(): Promise<Reply> {
  throw new ScimError({ status: 501, detail: "a source is nobody of its people: there is no Me" });
}

function search(caller: Caller, types: readonly ("User" | "Group")[], body: unknown): Promise<Reply> {
  if (!isObject(body)) throw new ScimError(wrong("invalidSyntax", "the body must be a JSON object"));
  return readList(caller, types, body);
}

function documentList(all: readonly unknown[]): Reply {
  const body = {
    schemas: [list_urn],
    totalResults: all.length,
    itemsPerPage: all.length,
    startIndex: 1,
    Resources: all,
  };
  return { status: 200, body };
}

function oneDocument(all: readonly Readonly<Record<string, unknown>>[], kind: string, id: string): Reply {
  const body = all.find((one) => String(one["id"]).toLowerCase() === id.toLowerCase());
  if (body === undefined) throw notFound(kind.slice(0, -1), id);
  return { status: 200, body };
}

/** An operation of a bulk, as the request it would have been. */
async function dispatch(caller: Caller, { method, path, version, data }: BulkOperation): Promise<Reply> {
  const [, kind = "", id = ""] = /^\/(Users|Groups)(?:\/([^/?]{1,200}))?$/.exec(path) ?? [];
  const url = id === "" ? `/${kind}` : `/${kind}/:id`;
  const route = [...users, ...groups].find((one) => one.method === method && one.url === url);
  if (route === undefined)
    return faultReply({ status: 404, detail: `there is nothing to ${method} at ${path.slice(0, 100)}` });
  try {
    return await route.work(caller, { id, body: data, query: {}, match: version ?? undefined });
  } catch (error) {
    if (error instanceof ScimError) return faultReply(error.fault);
    throw error;
  }
}

/** Registers the routes. */
export async function scimRoutes(server: Server, api: Api): Promise<void> {
  await server.register(
    async (scim) => {
      readBodies(scim as unknown as Server);
      scim.setErrorHandler((error: FastifyError, request, reply) => answerError(api, error, request, reply));
      scim.setNotFoundHandler((_request, reply) =>
        send(reply, faultReply({ status: 404, detail: "there is nothing at this path of SCIM" })),
      );
      for (const { method, url, work } of routes) {
        scim.route({
          ...{ method, url, config: { scim: true }, schema: { tags: ["scim"], hide: true } },
          handler: async (request, reply) => {
            const caller = await callerOf(api, request);
            return send(reply, await work(caller, askedOf(request)));
          },
        });
      }
    },
    { prefix: root },
  );
}

function readBodies(scim: Server): void {
  scim.removeAllContentTypeParsers();
  scim.addContentTypeParser(
    ["application/scim+json", "application/json"],
    { parseAs: "string", bodyLimit: body_bytes_max },
    (_request, body, done) => {
      if (body === "") return done(null, undefined);
      const read = readJson(body as string);
      if ("fault" in read) done(new ScimError(read.fault), undefined);
      else done(null, read.ok);
    },
  );
}

/** Whose token it is: the source's own. @throws ScimError 401, 403 for a token that is of no source over SCIM. */
async function callerOf(api: Api, request: FastifyRequest): Promise<Caller> {
  const bearer = request.bearer;
  if (bearer === null) throw new ScimError({ status: 401, detail: "the token is missing or wrong" });
  const app_id = /^SOURCE:(.+)$/.exec(bearer.role)?.[1];
  const source =
    app_id === undefined ? undefined : await api.sources.recall(`scim ${app_id}`, () => scimSourceOf(api.db, app_id));
  if (source === undefined) {
    const detail = "this is not the token of a source over SCIM, or that source is switched off";
    throw new ScimError({ status: 403, detail });
  }
  // What is asked with GET only reads, by one or two statements that stand alone.
  const db = request.method === "GET" ? api.reads : api.db;
  return { db, world: api.world, source, actor: actorOf(bearer), base: `${request.base_url}${root}` };
}

function askedOf(request: FastifyRequest): Asked {
  const { id = "" } = (request.params ?? {}) as { id?: string };
  // The database cannot even be asked for such a text.
  if (id.includes("\0") || !id.isWellFormed()) throw notFound("resource", id.replaceAll("\0", "?"));
  return { id, body: request.body, query: (request.query ?? {}) as Query, match: request.headers["if-match"] };
}

function send(reply: FastifyReply, { status, body, headers = {} }: Reply): FastifyReply {
  for (const [name, value] of Object.entries(headers)) reply.header(name, value);
  reply.code(status);
  if (body === undefined) return reply.send();
  // Serialised here: the framework would look for a schema of its own.
  return reply.header("content-type", scim_type).send(JSON.stringify(body));
}

function answerError(api: Api, thrown: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const fault = faultOf(thrown);
  if (fault.status === 401) reply.header("www-authenticate", 'Bearer realm="scim"');
  if (fault.status === 500)
    api.onError?.(`${request.method} ${request.routeOptions.url} failed (request ${request.id})`, thrown);
  return send(reply, faultReply(fault));
}

function faultOf(thrown: FastifyError): ScimFault {
  if (thrown instanceof ScimError) return thrown.fault;
  if (thrown instanceof ApiError) return { status: thrown.status, detail: thrown.causes[0] ?? thrown.message };
  if (isAway(thrown)) return { status: 503, detail: "the database cannot be reached: send it again in a few seconds" };
  if (thrown.code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") {
    return { status: 415, detail: "send application/scim+json or application/json" };
  }
  if (thrown.code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return {
      status: 413,
      type: "tooMany",
      detail: `the body is larger than ${body_bytes_max} bytes: send it in parts`,
    };
  }
  const status = thrown.statusCode ?? 500;
  if (status < 500) return { status: 400, type: "invalidSyntax", detail: thrown.message.slice(0, 200) };
  return { status: 500, detail: "this failed for a reason that nobody foresaw: the server's own output has it" };
}
