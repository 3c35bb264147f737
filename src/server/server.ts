/**
 * Builds the HTTP server: parsing, tokens, rate, errors, and the routes of its parts: `/api/v1` speaks Okta's API,
 * `/admin/v1` what Okta has no words for, `/scim/v2` takes what sources push, `/sources` what they tell of. It does not listen: main.ts does, and tests inject requests.
 *
 * Laws: a request that is not understood is refused in Okta's form, whatever it was; a body is bounded, its keys never
 * reach a prototype; nothing is logged per request (the log is the directory's own).
 */

import { randomUUID } from "node:crypto";
import fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from "fastify";
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { type Issue, wordsOf } from "../core/formWords.ts";
import { isAway } from "../store/database.ts";
import { adminRoutes } from "./admin/routes.ts";
import type { Api, ApiOptions, Server } from "./api.ts";
import { authenticate, authorise, type Need } from "./auth.ts";
import { countCalls } from "./coverage.ts";
import { ApiError, errorBody, invalid } from "./errors.ts";
import { newMemory } from "./memory.ts";
import { metricsRoutes } from "./metrics.ts";
import { readMultipart } from "./multipart.ts";
import { notifyRoutes } from "./notify/routes.ts";
import { oktaRoutes } from "./okta/routes.ts";
import { documentation } from "./openapi.ts";
import { peoplePages } from "./pages/people.ts";
import { type Allowance, rateLimit } from "./rate.ts";
import { scimRoutes } from "./scim/routes.ts";

/** Bytes of a JSON body; uploads have a bound of their own. */
const urlencoded_bytes_max = 64 * 1024;
const body_bytes_max = 10 * 1024 * 1024;
/** Bytes of a form with a file: a megabyte, and the form around it. */
const form_bytes_max = 1_100_000;
const certificate_types = ["application/x-x509-ca-cert", "application/pkix-cert", "application/x-pem-file"];
const certificate_bytes_max = 64 * 1024;
const rate_limit_standard = 60_000;

/** The server, ready to listen or to be injected requests. */
export async function buildServer(options: ApiOptions): Promise<Server> {
  const { db } = options.world;
  const api: Api = { ...options, db, reads: options.reads ?? db, memory: newMemory(), sources: newMemory() };
  // For the whole process, which has one server.
  z.config({ localeError: (issue) => wordsOf(issue as Issue) });
  const server: Server = fastify({
    bodyLimit: body_bytes_max,
    // An id in a source has up to 512 characters, of which each may take nine in a path.
    routerOptions: { maxParamLength: 5_000, ignoreTrailingSlash: true },
    // Forwarded headers are believed from a proxy on this machine only.
    trustProxy: "loopback",
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    return503OnClosing: true,
    forceCloseConnections: "idle",
    frameworkErrors: (error, request, reply) => void answerError(api, error, request, reply),
  }).withTypeProvider<ZodTypeProvider>();
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  acceptBodies(server);
  const known = collectPaths(server);
  await documentation(server);
  guard(server, api);
  countCalls(server, api);
  server.setErrorHandler((error: FastifyError | ApiError, request, reply) => answerError(api, error, request, reply));
  server.setNotFoundHandler((request, reply) => answerError(api, unknownPath(known, request), request, reply));
  oktaRoutes(server, api);
  adminRoutes(server, api);
  metricsRoutes(server, api);
  peoplePages(server, api);
  await scimRoutes(server, api);
  await notifyRoutes(server, api);
  return server;
}

/** Okta's clients send `Content-Type: application/json` on requests without a body; that is a body not given. */
function acceptBodies(server: Server): void {
  const parse = server.getDefaultJsonParser("error", "error");
  server.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body === "") done(null, undefined);
    else void parse(request, body as string, done);
  });
  // Uploads are read as they come; each route that takes one sets its own bound.
  server.addContentTypeParser(["text/csv", "application/octet-stream"], (_request, payload, done) =>
    done(null, payload),
  );
  server.addContentTypeParser(
    "multipart/form-data",
    { parseAs: "buffer", bodyLimit: form_bytes_max },
    (request, body, done) => {
      const parts = readMultipart(body as Buffer, request.headers["content-type"] ?? "");
      if (parts === undefined) done(new ApiError(400, "E0000003", "The request body was not well-formed."), undefined);
      else done(null, parts);
    },
  );
  // Forms of pages, and what OAuth clients send: names and their values, of each name the last.
  server.addContentTypeParser(
    "application/x-www-form-urlencoded",
    { parseAs: "string", bodyLimit: urlencoded_bytes_max },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(body as string))),
  );
  server.addContentTypeParser(
    certificate_types,
    { parseAs: "buffer", bodyLimit: certificate_bytes_max },
    (_, body, done) => done(null, body),
  );
}

/** Before every handler: ids and links, who asks, how often, may they. */
function guard(server: Server, api: Api): void {
  const limit = api.rate_limit ?? rate_limit_standard;
  const count = limit > 0 ? rateLimit(limit) : undefined;
  server.decorateRequest("bearer", null);
  server.decorateRequest("base_url", "");
  server.addHook("onRequest", async (request, reply) => {
    reply.header("x-okta-request-id", request.id);
    reply.header("cache-control", "no-store");
    request.base_url = api.base_url ?? `${request.protocol}://${request.host}`;
    const { area, scim, unlimited } = request.routeOptions.config;
    const now = new Date();
    try {
      if (area !== undefined) request.bearer = await authenticate(api, request);
      else if (scim) request.bearer = await authenticate({ ...api, memory: api.sources }, request);
    } finally {
      // Counted also when refused: guessing tokens is bounded by the address it comes from.
      if (count && !unlimited) allow(count(request.bearer?.token_id ?? request.ip, now.getTime()), reply);
    }
    await authorise(api, request);
  });
  server.addHook("onSend", (request, _reply, _payload, done) => {
    const { scim, notice } = request.routeOptions.config;
    // A notification changes nothing but who is to be read.
    if (request.method !== "GET" && !notice) api.memory.forget();
    // What a source pushes changes no token and no app.
    if (request.method !== "GET" && !notice && !scim) api.sources.forget();
    done();
  });
}

function allow(allowance: Allowance, reply: FastifyReply): void {
  reply.header("x-rate-limit-limit", allowance.limit);
  reply.header("x-rate-limit-remaining", allowance.remaining);
  reply.header("x-rate-limit-reset", allowance.reset_at_s);
  if (allowance.exceeded) {
    throw new ApiError(429, "E0000047", "API call exceeded rate limit due to too many requests.");
  }
}

/** A route as it was registered: what it says of itself is `config`. */
export type RegisteredRoute = Readonly<{ method: string; url: string; config: Need; pattern: RegExp }>;

const registered = new WeakMap<Server, readonly RegisteredRoute[]>();

/** Every route of a server, in order of registration; for tests that hold for all of them. */
export const routesOf = (server: Server): readonly RegisteredRoute[] => registered.get(server) ?? [];

/** Every route's path as a pattern, to tell a wrong method from a wrong path. */
function collectPaths(server: Server): RegisteredRoute[] {
  const known: RegisteredRoute[] = [];
  registered.set(server, known);
  server.addHook("onRoute", ({ url, method, config = {} }) => {
    const source = url
      .split("/")
      .map((part) => (part.startsWith(":") || part === "*" ? "[^/]+" : part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")))
      .join("/");
    const pattern = new RegExp(`^${source}/?$`);
    for (const one of [method].flat()) known.push({ method: one, url, config, pattern });
  });
  return known;
}

function unknownPath(known: readonly RegisteredRoute[], request: FastifyRequest): ApiError {
  const path = request.url.split("?", 1)[0] ?? "";
  const methods = known
    .filter(({ pattern, method }) => method !== "HEAD" && pattern.test(path))
    .map(({ method }) => method);
  if (methods.length === 0) {
    return new ApiError(404, "E0000008", "The requested path was not found", [
      `There is nothing at ${path.slice(0, 200)}; see /docs`,
    ]);
  }
  return new ApiError(405, "E0000022", "The endpoint does not support the provided HTTP method", [
    `${path.slice(0, 200)} takes ${[...new Set(methods)].join(", ")}, not ${request.method}`,
  ]);
}

function answerError(
  api: Api,
  thrown: FastifyError | ApiError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const error = thrown instanceof ApiError ? thrown : translate(thrown, request);
  const body = errorBody(error);
  if (error.status === 500)
    api.onError?.(
      `${request.method} ${request.url.split("?", 1)[0]} failed (request ${request.id}, error ${body.errorId})`,
      thrown,
    );
  if (error.status === 503) reply.header("retry-after", "5");
  return reply.code(error.status).header("content-type", "application/json").send(body);
}

/** What the framework, the database or a bug threw, as one of ours. */
function translate(error: FastifyError, request: FastifyRequest): ApiError {
  if (error.validation !== undefined) return validationError(error);
  if (isAway(error)) {
    return new ApiError(503, "E0000010", "The database cannot be reached", [
      "Nothing of this request was kept; try it again in a few seconds",
    ]);
  }
  switch (error.code) {
    // PostgreSQL: a text that it cannot hold.
    case "22021":
      return invalid("request", "it holds a character that no text may hold: NUL (%00)");
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new ApiError(
        400,
        "E0000019",
        "Bad request. Accept and/or Content-Type headers likely do not match supported values.",
        ["Send JSON with Content-Type: application/json"],
      );
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new ApiError(413, "E0000001", "Api validation failed: request", [
        `The body is larger than ${sizeOf(request.routeOptions.bodyLimit ?? body_bytes_max)}; send it in parts`,
      ]);
    case "FST_ERR_BAD_URL":
      return new ApiError(400, "E0000003", "The request could not be read", ["The address holds a wrong % sequence"]);
  }
  if (error instanceof SyntaxError || (error.statusCode ?? 500) < 500) {
    return new ApiError(400, "E0000003", "The request body was not well-formed.", [error.message.slice(0, 200)]);
  }
  return new ApiError(500, "E0000009", "Internal Server Error");
}

const sizeOf = (bytes: number) => (bytes < 1024 ** 2 ? `${bytes / 1024} KB` : `${bytes / 1024 ** 2} MB`);

function validationError(error: FastifyError): ApiError {
  const issues = (error.validation ?? []).map(({ instancePath, message }) => ({
    at: instancePath
      .split("/")
      .filter((part) => part !== "")
      .join("."),
    message: message ?? "is not valid",
  }));
  // A body that is no object at all is not well-formed; one with a wrong field is not valid.
  if (error.validationContext === "body" && issues.every(({ at }) => at === "")) {
    return new ApiError(
      400,
      "E0000003",
      "The request body was not well-formed.",
      issues.map(({ message }) => `The body ${message}`),
    );
  }
  const causes = issues.map(({ at, message }) => (at === "" ? message : `${at}: ${message}`));
  return invalid(issues[0]?.at.split(".")[0] || "request", ...causes.slice(0, 20));
}
