/**
 * Files of people by hand: an upload is checked, imported (or only tried) and told row by row, as lines of JSON, while it
 * is done; imports of the past are listed here and taken back.
 *
 * Laws: a file is refused as a whole before the first line is answered, or not at all. Whoever closes the connection ends
 * the work behind the chunk that is under way. Nobody changes through a file whom they could not change one by one.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { listPeopleImports, listPeopleRows, type PeopleImport, peopleImport } from "../../directory/peopleImports.ts";
import { userSchema } from "../../directory/schemaQueries.ts";
import { importPeople, type OutOfReach, type PeoplePage, type PeopleSummary } from "../../engine/importPeople.ts";
import { checkPeopleFile, type PeopleFile } from "../../engine/peopleFile.ts";
import { type UndoneRow, type UndoSummary, undoPeople } from "../../engine/undoPeople.ts";
import { type Api, about, commandOf, type Server } from "../api.ts";
import { outOfReach } from "../auth.ts";
import { ApiError, found, invalid, must } from "../errors.ts";
import { page } from "../paging.ts";
import { given, paged } from "./shared.ts";
import { keepUpload } from "./uploads.ts";

const ndjson = "application/x-ndjson";
const params = z.object({ import_id: z.string().min(1).max(100) });
const flag = z
  .enum(["true", "false"])
  .default("false")
  .transform((text) => text === "true");
const delimiters = { comma: ",", semicolon: ";", tab: "\t", pipe: "|" } as const;

/** Bytes of a file of people: 200,000 of them with a kilobyte each. */
const file_bytes_max = 256 * 1024 ** 2;
/** Each holds a file on the disk, its logins in memory, and now and then a connection. */
const at_a_time_max = 4;

/** Registers the routes. */
export function peopleImportRoutes(server: Server, api: Api): void {
  let running = 0;
  const query = z.object({
    dry_run: flag.describe("Tell what would be done, and do nothing"),
    activate: flag.describe("Activate whom the file creates; else they are staged"),
    delimiter: z.enum(["comma", "semicolon", "tab", "pipe"]).default("comma"),
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
    async (request, reply) => {
      if (!(request.body instanceof Readable)) throw invalid("file", "send the file as text/csv");
      if (running >= at_a_time_max) {
        throw new ApiError(503, "E0000010", "Too many imports of people at a time", [
          `${running} are under way on this node: wait until one has ended`,
        ]);
      }
      running++;
      const over = () => void running--;
      const { activate, dry_run, delimiter } = request.query;
      const wish = { activate, dry_run, outOfReach: reachOf(request), node: api.world.node };
      const pages = importing(api, request.body, delimiters[delimiter], over, (file) =>
        importPeople(commandOf(api, request), file, wish),
      );
      const first = await pages.next();
      // Lines that nobody began to read would not end what they are made of.
      // What cannot be noted because the database is away stays as an import that runs until this node ends.
      const close = () => void pages.return(nothing).catch(() => {});
      if (reply.raw.destroyed) close();
      else reply.raw.once("close", close);
      return reply.header("content-type", ndjson).send(Readable.from(lines(pages, first)));
    },
  );
  pastRoutes(server, api);
}

/** Imports of the past. */
function pastRoutes(server: Server, api: Api): void {
  server.get(
    "/admin/v1/users/imports",
    about("users", "Imports of files of people, the newest first", { querystring: z.object(paged) }),
    async (request, reply) => {
      const { after, limit } = request.query;
      const rows = await listPeopleImports(api.db, { limit: limit + 1, ...given("after", after) });
      return page(request, reply, rows.map(body), limit, ({ id }) => id);
    },
  );

  server.get(
    "/admin/v1/users/imports/:import_id",
    about("users", "One import of a file of people", { params }),
    async (request) => body(await anImport(api, request.params.import_id)),
  );

  const rows_query = z.object({ after: z.coerce.number().int().min(0).optional(), limit: paged.limit });
  server.get(
    "/admin/v1/users/imports/:import_id/rows",
    about("users", "The people whom an import created or changed, with what changed", {
      params,
      querystring: rows_query,
    }),
    async (request, reply) => {
      const { id } = await anImport(api, request.params.import_id);
      const { after, limit } = request.query;
      const wish = { limit: limit + 1, ...given("after", after) };
      const rows = await listPeopleRows(api.db, await userSchema(api.db), id, wish);
      return page(request, reply, rows, limit, ({ line }) => String(line));
    },
  );

  server.post(
    "/admin/v1/users/imports/:import_id/undo",
    about("users", "Take an import back: whom it created is deactivated, what it changed is set back", { params }),
    async (request, reply) => {
      const { import_id } = request.params;
      const rest = must(await undoPeople(commandOf(api, request), import_id, reachOf(request)));
      return reply.header("content-type", ndjson).send(Readable.from(undoLines(rest)));
    },
  );
}

const reachOf =
  (request: FastifyRequest): OutOfReach =>
  (db, ids) =>
    outOfReach(db, request, ids);

async function anImport(api: Api, id: string): Promise<PeopleImport> {
  return found(await peopleImport(api.db, id), id, "PeopleImport");
}

const body = ({ started_by, undone_by, node: _, ...row }: PeopleImport) => ({
  ...row,
  started_by: started_by.name,
  undone_by: undone_by?.name ?? null,
});

type Pages = AsyncGenerator<PeopleFile | PeoplePage, PeopleSummary>;

/** What is told to nobody. */
const nothing: PeopleSummary = { id: null, counts: { create: 0, update: 0, unchanged: 0, refused: 0 }, reason: null };

/** The file, and then what becomes of its rows. The upload goes when the work ends, however it does. */
async function* importing(
  api: Api,
  stream: Readable,
  delimiter: (typeof delimiters)[keyof typeof delimiters],
  over: () => void,
  work: (file: PeopleFile) => AsyncGenerator<PeoplePage, PeopleSummary>,
): Pages {
  let upload: string | undefined;
  try {
    upload = join(api.import_folder, await keepUpload(api, stream, file_bytes_max));
    const file = must(await checkPeopleFile(api.db, upload, delimiter));
    yield file;
    return yield* work(file);
  } finally {
    over();
    if (upload !== undefined) await rm(upload, { force: true }).catch(() => {});
  }
}

async function* lines(
  pages: Pages,
  first: IteratorResult<PeopleFile | PeoplePage, PeopleSummary>,
): AsyncGenerator<string> {
  try {
    for (let turn = first; ; turn = await pages.next()) {
      if (turn.done) return yield line({ done: turn.value });
      const { value } = turn;
      if ("columns" in value) yield line({ file: { columns: value.columns, rows: value.rows } });
      else {
        const { id, rows, done, total } = value;
        yield rows.map((row) => line({ row })).join("") + line({ progress: { id, done, total } });
      }
    }
  } catch (error) {
    // The status has been sent: the last line says that this is not the whole.
    yield line({ error: "the import could not be finished: run the file again to go on" });
    throw error;
  } finally {
    await pages.return(nothing);
  }
}

async function* undoLines(chunks: AsyncGenerator<readonly UndoneRow[], UndoSummary>): AsyncGenerator<string> {
  try {
    for (let turn = await chunks.next(); ; turn = await chunks.next()) {
      if (turn.done) return yield line({ done: turn.value });
      yield turn.value.map((row) => line({ row })).join("");
    }
  } catch (error) {
    yield line({ error: "the import could not be taken back as a whole: ask again to go on" });
    throw error;
  }
}

const line = (value: unknown) => `${JSON.stringify(value)}\n`;
