/** Rows of a source that wait for a person to say who they are. */
import { z } from "zod";
import { decideAll, decideRows, listWaiting } from "../../directory/waitingRows.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { must } from "../errors.ts";
import { page } from "../paging.ts";
import { anApp, app_params, given, paged } from "./shared.ts";

/** A row's id as its source gave it; PostgreSQL keeps no NUL in a text. */
const row_id = z
  .string()
  .max(1_000)
  .refine((id) => !id.includes("\0"), "must not hold a NUL");
const some_row = row_id.min(1);

const kind = z.enum(["create", "link", "ignore", "undo"]);
const decision = z.union([
  z.strictObject({ external_id: some_row, kind: z.literal("link"), user_id: row_id.max(100) }),
  z.strictObject({ external_id: some_row, kind: kind.exclude(["link"]) }),
]);
const body = z.union([z.strictObject({ rows: z.array(decision).min(1).max(10_000) }), z.strictObject({ all: kind })]);

/** Registers the routes. */
export function waitingRoutes(server: Server, api: Api): void {
  server.get(
    "/admin/v1/apps/:app_id/waiting",
    about("imports", "Rows of a source that wait for a person, with the users they match and what is decided", {
      params: app_params,
      querystring: z.object({ ...paged, after: row_id.optional().describe(String(paged.after.description)) }),
    }),
    async (request, reply) => {
      const { after, limit } = request.query;
      const app = await anApp(api, request.params.app_id);
      const rows = await listWaiting(api.db, app.id, { limit: limit + 1, ...given("after", after) });
      return page(request, reply, rows, limit, ({ external_id }) => external_id);
    },
  );

  server.post(
    "/admin/v1/apps/:app_id/waiting",
    about(
      "imports",
      "Decide about rows that wait: make someone new, link to a user, ignore, or undo. The next import carries it out. `all`: about every row that waits; link: where it matches one user",
      { params: app_params, body },
    ),
    async (request) => {
      const app = await anApp(api, request.params.app_id);
      const command = commandOf(api, request);
      const done =
        "all" in request.body
          ? await decideAll(command, app.id, request.body.all)
          : await decideRows(command, app.id, request.body.rows);
      return { decided: must(done) };
    },
  );
}
