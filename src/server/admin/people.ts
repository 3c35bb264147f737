/**
 * Files of people by hand: people are created and changed by an upload; imports of the past are listed here and taken back.
 *
 * Law: nobody changes through a file whom they could not change one by one. The rest is handFiles.ts.
 */
import { z } from "zod";
import { listPeopleRows } from "../../directory/peopleImports.ts";
import { userSchema } from "../../directory/schemaQueries.ts";
import { importPeople } from "../../engine/importPeople.ts";
import { checkPeopleFile } from "../../engine/peopleFile.ts";
import { undoPeople } from "../../engine/undoPeople.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { page } from "../paging.ts";
import {
  anImport,
  answerImport,
  answerUndo,
  delimiter,
  file_bytes_max,
  flag,
  import_params as params,
  pastRoutes,
  reachOf,
  rows_query,
  type UnderWay,
} from "./handFiles.ts";
import { given } from "./shared.ts";

/** Registers the routes. */
export function peopleImportRoutes(server: Server, api: Api, under_way: UnderWay): void {
  const query = z.object({
    dry_run: flag.describe("Tell what would be done, and do nothing"),
    activate: flag.describe("Activate whom the file creates; else they are staged"),
    delimiter,
  });
  server.post(
    "/admin/v1/users/imports",
    {
      ...about(
        "users",
        "Import a text/csv file of people, matched by login; answers with a line of JSON for each row",
        {
          querystring: query,
        },
      ),
      bodyLimit: file_bytes_max,
    },
    (request, reply) => {
      const { activate, dry_run } = request.query;
      const wish = { activate, dry_run, outOfReach: reachOf(request, "user"), node: api.world.node };
      return answerImport(api, request, reply, under_way, {
        delimiter: request.query.delimiter,
        check: (path, character) => checkPeopleFile(api.db, path, character),
        pages: (file) => importPeople(commandOf(api, request), file, wish),
      });
    },
  );
  pastRoutes(server, api, { kind: "people", area: "users", path: "/admin/v1/users/imports" });
  rowRoutes(server, api);
}

/** What imports of the past did, and taking them back. */
function rowRoutes(server: Server, api: Api): void {
  server.get(
    "/admin/v1/users/imports/:import_id/rows",
    about("users", "The people whom an import created or changed, with what changed", {
      params,
      querystring: rows_query,
    }),
    async (request, reply) => {
      const { id } = await anImport(api, "people", request.params.import_id);
      const { after, limit } = request.query;
      const wish = { limit: limit + 1, ...given("after", after) };
      const rows = await listPeopleRows(api.db, await userSchema(api.db), id, wish);
      const shown = rows.map(({ group_id: _, group_name: __, ...row }) => row);
      return page(request, reply, shown, limit, ({ line }) => String(line));
    },
  );

  server.post(
    "/admin/v1/users/imports/:import_id/undo",
    about("users", "Take an import back: whom it created is deactivated, what it changed is set back", { params }),
    async (request, reply) => {
      const { import_id } = request.params;
      return answerUndo(reply, await undoPeople(commandOf(api, request), import_id, reachOf(request, "user")));
    },
  );
}
