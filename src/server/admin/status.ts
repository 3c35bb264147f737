/** The state of the whole installation in one answer, tokens, and the clock where the demo may move it. */
import { z } from "zod";
import { appHealth } from "../../directory/appHealth.ts";
import { createToken, listTokens, revokeToken } from "../../directory/tokens.ts";
import { sql } from "../../store/database.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { must } from "../errors.ts";
import { oneUser } from "../okta/users.ts";
import { page } from "../paging.ts";
import { given, moment, paged } from "./shared.ts";

type Totals = {
  users: Record<string, number>;
  groups: number;
  rules: number;
  apps: number;
  accounts: number;
  dirty: number;
  tasks: number;
  nodes: { id: string; seen_at: string; live: boolean }[];
};

/** A node that lives says so every ten seconds. */
const beat_max_ms = 20_000;

/** Registers the routes. */
export function statusRoutes(server: Server, api: Api): void {
  server.get(
    "/admin/v1/status",
    about("org", "How everything stands: people, apps, queues, tasks, nodes"),
    async () => {
      const now = api.world.now();
      const { rows } = await sql<Totals>`
      select (select coalesce(jsonb_object_agg(status, n), '{}') from (select status, count(*) as n from users group by status) u) as users,
        (select count(*) from groups)::int as groups, (select count(*) from rules where status = 'ACTIVE')::int as rules,
        (select count(*) from apps)::int as apps, (select count(*) from accounts where assigned)::int as accounts,
        (select count(*) from dirty)::int as dirty, (select count(*) from tasks where status = 'OPEN')::int as tasks,
        (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'seen_at', seen_at,
           'live', seen_at > ${new Date(now.getTime() - beat_max_ms)}::timestamptz) order by id), '[]') from nodes
         where seen_at > ${new Date(now.getTime() - 60_000)}::timestamptz) as nodes`.execute(api.db);
      const labels = new Map(
        (await api.db.selectFrom("apps").select(["id", "label"]).execute()).map(({ id, label }) => [id, label]),
      );
      const health = await appHealth(api.db, now);
      return {
        now,
        ...rows[0],
        queues: health.map((one) => ({ label: labels.get(one.app_id) ?? one.app_id, ...one })),
      };
    },
  );
  tokenRoutes(server, api);
  clockRoutes(server, api);
}

function tokenRoutes(server: Server, api: Api): void {
  server.get(
    "/admin/v1/tokens",
    about("tokens", "API tokens, never their text", { querystring: z.object(paged) }),
    async (request, reply) => {
      const { after, limit } = request.query;
      return page(
        request,
        reply,
        await listTokens(api.db, { limit: limit + 1, ...given("after", after) }),
        limit,
        ({ id }) => id,
      );
    },
  );

  const input = z.object({
    name: z.string().min(1).max(200),
    role: z.string().max(50).optional(),
    user: z.string().max(200).nullish().describe("Id or login of whom it speaks for"),
    expires_at: moment.nullish(),
  });
  server.post(
    "/admin/v1/tokens",
    about("tokens", "Make a token; its text is told only here", { body: input }),
    async (request) => {
      const { name, role, user, expires_at } = request.body;
      const user_id = user ? (await oneUser(api, user)).id : null;
      const { token, text } = must(
        await createToken(commandOf(api, request), {
          name,
          user_id,
          expires_at: expires_at ?? null,
          ...given("role", role),
        }),
      );
      return { ...token, text };
    },
  );

  const params = z.object({ token_id: z.string().max(100) });
  server.delete("/admin/v1/tokens/:token_id", about("tokens", "End a token for good", { params }), async (request) =>
    must(await revokeToken(commandOf(api, request), request.params.token_id)),
  );
}

/** Only on a server started for it: time that jumps hires and dismisses people. */
function clockRoutes(server: Server, api: Api): void {
  const { moveClock } = api;
  server.get("/admin/v1/clock", about("org", "What time it is here"), async () => ({
    now: api.world.now(),
    movable: moveClock !== undefined,
  }));
  if (moveClock === undefined) return;
  const shift = z.object({
    shift_ms: z
      .int()
      .min(-31_536_000_000_000)
      .max(31_536_000_000_000)
      .describe("Milliseconds from the real time; not added to an earlier shift"),
  });
  server.put("/admin/v1/clock", about("clock", "Move the clock (demo only)", { body: shift }), async (request) => {
    await sql`update clock set fixed_at = null, shift = make_interval(secs => ${request.body.shift_ms / 1000}::float8)`.execute(
      api.db,
    );
    await moveClock();
    return { now: api.world.now(), movable: true };
  });
}
