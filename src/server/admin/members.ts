/**
 * Files of members of groups by hand: people join the groups that an upload names, and with `exact` leave them; imports of
 * the past are listed here and taken back.
 *
 * Law: nobody changes through a file a group whose members they could not change one by one. The rest is handFiles.ts.
 */
import { z } from "zod";
import { listPeopleRows } from "../../directory/peopleImports.ts";
import { importMembers } from "../../engine/importMembers.ts";
import { checkMembersFile } from "../../engine/membersFile.ts";
import { undoMembers } from "../../engine/undoMembers.ts";
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
export function memberImportRoutes(server: Server, api: Api, under_way: UnderWay): void {
  const querystring = z.object({
    dry_run: flag.describe("Tell what would be done, and do nothing"),
    exact: flag.describe("The file says all members by hand of each group that it names: the others leave"),
    leave_many: flag.describe("They leave also when that is ten or more, and more than a fifth of those of a group"),
    delimiter,
  });
  const what = "Import a text/csv file of members of groups; answers with a line of JSON for each row";
  server.post(
    "/admin/v1/groups/imports",
    { ...about("members", what, { querystring }, { within: true }), bodyLimit: file_bytes_max },
    (request, reply) => {
      const { delimiter: between, ...asked } = request.query;
      const wish = { ...asked, outOfReach: reachOf(request, "group"), node: api.world.node };
      return answerImport(api, request, reply, under_way, {
        delimiter: between,
        check: checkMembersFile,
        pages: (file) => importMembers(commandOf(api, request), file, wish),
      });
    },
  );
  pastRoutes(server, api, { kind: "members", area: "members", path: "/admin/v1/groups/imports" });
  rowRoutes(server, api);
}

/** What imports of the past did, and taking them back. */
function rowRoutes(server: Server, api: Api): void {
  server.get(
    "/admin/v1/groups/imports/:import_id/rows",
    about("members", "Who joined and left which group by an import", { params, querystring: rows_query }),
    async (request, reply) => {
      const { id } = await anImport(api, "members", request.params.import_id);
      const { after, limit } = request.query;
      const wish = { limit: limit + 1, ...given("after", after) };
      const rows = await listPeopleRows(api.db, { attributes: [] }, id, wish);
      const shown = rows.map(({ group_name: group, ...row }) => ({ ...row, group }));
      return page(request, reply, shown, limit, ({ line }) => String(line));
    },
  );

  server.post(
    "/admin/v1/groups/imports/:import_id/undo",
    about("members", "Take an import back: who joined leaves, who left comes back", { params }, { within: true }),
    async (request, reply) => {
      const { import_id } = request.params;
      return answerUndo(reply, await undoMembers(commandOf(api, request), import_id, reachOf(request, "group")));
    },
  );
}
