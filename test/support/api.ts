/** The API server over a PostgreSQL in memory, without engine and without network: requests are injected. */
import type { InjectOptions } from "fastify";
import { secret } from "../../src/connectors/connector.ts";
import { ensureGround } from "../../src/directory/schemas.ts";
import { createToken } from "../../src/directory/tokens.ts";
import type { World } from "../../src/engine/world.ts";
import type { ApiOptions, Server } from "../../src/server/api.ts";
import { buildServer } from "../../src/server/server.ts";
import type { Database } from "../../src/store/database.ts";
import { isRefusal } from "../../src/store/database.ts";
import { system } from "../../src/store/log.ts";
import { noteAnswers } from "./answers.ts";
import { fakeApp } from "./fakeConfig.ts";
import { outside } from "./outside.ts";

/** An answer, with its body read. `next`: the path of the next link. */
export type Answer = Readonly<{
  status: number;
  body: ReturnType<typeof JSON.parse>;
  headers: Readonly<Record<string, unknown>>;
  next: string | undefined;
}>;

export type TestApi = Readonly<{
  server: Server;
  token: string;
  /** Sends a request with the token (or another one, or none: ""). */
  call(method: string, path: string, body?: unknown, token?: string): Promise<Answer>;
  /** A token with this role. */
  tokenOf(role: string): Promise<string>;
}>;

/** Builds the server on a database that is migrated and empty. */
export async function testApi(db: Database, options: Partial<ApiOptions> = {}): Promise<TestApi> {
  const now = () => new Date();
  const command = { db, now, actor: system };
  await ensureGround(command);
  const tokenOf = async (role: string) => {
    const made = await createToken(command, { name: `a ${role}`, role });
    if (isRefusal(made)) throw new Error(made.refused);
    return made.text;
  };
  const token = await tokenOf("SUPER_ADMIN");
  const world: World = {
    ...{ db, node: "test", now, random: Math.random, lease_ms: 60_000 },
    deadline: (at) => AbortSignal.timeout(Math.max(0, at.getTime() - Date.now())),
    password: () => secret("Temporary-1!"),
    app: () => Promise.reject(new Error("no app is called in these tests")),
    source: () => Promise.reject(new Error("no app is called in these tests")),
    ...outside(db, now),
  };
  const server = await buildServer({ world, ...fakeApp, import_folder: "/nonexistent", rate_limit: 0, ...options });
  noteAnswers(server);
  const call = async (method: string, path: string, body?: unknown, given = token): Promise<Answer> => {
    const answer = await server.inject({
      method: method as NonNullable<InjectOptions["method"]>,
      url: path,
      headers: {
        host: "tenure.test",
        ...(given === "" ? {} : { authorization: `SSWS ${given}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { payload: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const links = [answer.headers["link"] ?? []].flat().join(", ");
    const next = /<http:\/\/tenure\.test([^>]*)>; rel="next"/.exec(links)?.[1];
    const json = String(answer.headers["content-type"] ?? "").includes("json");
    return {
      status: answer.statusCode,
      body: json && answer.body !== "" ? JSON.parse(answer.body) : answer.body,
      headers: answer.headers,
      next,
    };
  };
  return { server, token, call, tokenOf };
}
