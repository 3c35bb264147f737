/**
 * What every route is given, and the types of the server that routes are registered on. A route reads the request,
 * calls the directory or the engine with `commandOf`, and gives a serialised answer; nothing else happens in a route.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { ZodType } from "zod";
import type { App, AppTools, Config } from "../directory/apps.ts";
import type { Command } from "../directory/command.ts";
import type { Bearer } from "../directory/tokens.ts";
import type { World } from "../engine/world.ts";
import type { Database } from "../store/database.ts";
import type { Origin } from "../store/tables.ts";
import { type Area, actorOf, type Need } from "./auth.ts";
import type { Memory } from "./memory.ts";

declare module "fastify" {
  interface FastifyContextConfig extends Need {
    /** Scrapes and probes: not counted against anyone's rate. */
    unlimited?: boolean;
  }
  interface FastifyRequest {
    /** Who asks; null on public routes. */
    bearer: Bearer | null;
    /** `http(s)://host` that links of the answer begin with. */
    base_url: string;
  }
}

export type Server = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** What an administrator fills in to connect an app of one kind. `config`: a JSON schema. */
export type ConnectorForm = Readonly<{
  kind: string;
  title: string;
  description: string;
  config: Readonly<Record<string, unknown>>;
  secrets: readonly Readonly<{ name: string; title: string; required: boolean }>[];
}>;

export type ApiOptions = Readonly<{
  /** The engine's world: its database and time are the server's too. */
  world: World;
  /** Seals connector credentials, and knows what connectors say about their configuration. */
  tools: AppTools;
  /** Every kind of connector. */
  forms: readonly ConnectorForm[];
  /** Connections for reads; without them, the world's database. */
  reads?: Database;
  /** Tries a configuration in the app itself, without writing; gives what is wrong, in words. */
  testConfig?: (app: App, config: Config) => Promise<string | undefined>;
  /** Where uploads are kept while they are read: a folder below the one that file sources read from. */
  import_folder: string;
  /** What links begin with; without it, the host that the request names. */
  base_url?: string;
  /** Requests per token and minute; 0: no ceiling. */
  rate_limit?: number;
  /** Lets the demo move the clock, and tells the world when it was. Never on a server that keeps real accounts. */
  moveClock?: () => Promise<void>;
  /** Told of errors nobody foresaw, with the id that the client got. */
  onError?: (line: string, error: unknown) => void;
}>;

/**
 * `reads`: for statements that stand alone and are quick as a rule, which share connections (store/reads.ts).
 * `sources`: what is remembered of sources over SCIM, which their own pushes do not change.
 */
export type Api = ApiOptions & Readonly<{ db: Database; reads: Database; memory: Memory; sources: Memory }>;

/** The command of this request: its database, time and actor. Only where the route needs a bearer. */
export function commandOf(api: Api, request: FastifyRequest): Command {
  if (request.bearer === null) throw new Error(`the route ${request.routeOptions.url} needs an area to know its actor`);
  return { db: api.db, now: api.world.now, actor: { ...actorOf(request.bearer), from: originOf(request) } };
}

const agent_max = 500;

/** Where a request came from, as the log keeps it. */
export function originOf(request: FastifyRequest): Origin {
  return { ip: request.ip, agent: request.headers["user-agent"]?.slice(0, agent_max) ?? null, request: request.id };
}

/** What a route reads, as schemas that refuse what does not fit. */
export type Shapes = Readonly<{ params?: ZodType; querystring?: ZodType; body?: ZodType }>;

/** Options of a route: who may, what it reads, and what the documentation says. */
export function about<S extends Shapes = Record<never, never>>(
  area: Area,
  summary: string,
  shapes?: S,
  need: Need = {},
) {
  return { config: { area, ...need }, schema: { tags: [area], summary, ...(shapes as S) } };
}
