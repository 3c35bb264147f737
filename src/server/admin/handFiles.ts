/**
 * What the routes of files by hand share, whatever a file is of: an upload is checked, imported (or only tried) and told row
 * by row, as lines of JSON, while it is done; imports of the past are listed and taken back.
 *
 * Laws: a file is refused as a whole before the first line is answered, or not at all. Whoever closes the connection ends
 * the work behind the chunk that is under way.
 *
 * Called by people.ts and members.ts.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Refusal } from "../../core/types.ts";
import { type FileKind, listPeopleImports, type PeopleImport, peopleImport } from "../../directory/peopleImports.ts";
import type { HandFile } from "../../engine/handFile.ts";
import type { FilePage, FilePages, FileSummary, OutOfReach } from "../../engine/importFile.ts";
import type { UndoneRow, UndoSummary } from "../../engine/undoFile.ts";
import { type Api, about, type Server } from "../api.ts";
import { type Area, outOfReach } from "../auth.ts";
import { ApiError, found, invalid, must } from "../errors.ts";
import { page } from "../paging.ts";
import { given, paged } from "./shared.ts";
import { keepUpload } from "./uploads.ts";

const ndjson = "application/x-ndjson";

export const import_params = z.object({ import_id: z.string().min(1).max(100) });
export const rows_query = z.object({ after: z.coerce.number().int().min(0).optional(), limit: paged.limit });
export const flag = z
  .enum(["true", "false"])
  .default("false")
  .transform((text) => text === "true");
export const delimiter = z.enum(["comma", "semicolon", "tab", "pipe"]).default("comma");
const delimiters = { comma: ",", semicolon: ";", tab: "\t", pipe: "|" } as const;

/** Bytes of a file: 200,000 rows with a kilobyte each. */
export const file_bytes_max = 256 * 1024 ** 2;
/** Each holds a file on the disk, its logins in memory, and now and then a connection. */
const at_a_time_max = 4;

/** How many imports are under way on this node, of whatever. */
export type UnderWay = { running: number };

/** Who asks, as the engine asks about them row by row. */
export const reachOf =
  (request: FastifyRequest, kind: "user" | "group"): OutOfReach =>
  (db, ids) =>
    outOfReach(db, request, kind, ids);

/** What is done with an upload. */
type Work<File extends HandFile, Told> = Readonly<{
  delimiter: keyof typeof delimiters;
  check(path: string, delimiter: (typeof delimiters)[keyof typeof delimiters]): Promise<File | Refusal>;
  pages(file: File): FilePages<Told>;
}>;

/** Answers with the lines of an import. @throws ApiError for a file that is refused as a whole, and for one too many. */
export async function answerImport<File extends HandFile, Told>(
  api: Api,
  request: FastifyRequest,
  reply: FastifyReply,
  under_way: UnderWay,
  work: Work<File, Told>,
): Promise<FastifyReply> {
  if (!(request.body instanceof Readable)) throw invalid("file", "send the file as text/csv");
  if (under_way.running >= at_a_time_max) {
    throw new ApiError(503, "E0000010", "Too many imports of files at a time", [
      `${under_way.running} are under way on this node: wait until one has ended`,
    ]);
  }
  under_way.running++;
  const pages = importing(api, request.body, work, () => void under_way.running--);
  const first = await pages.next();
  // Lines that nobody began to read would not end what they are made of.
  // What cannot be noted because the database is away stays as an import that runs: nobody waits for it.
  const close = () => void pages.return(nothing).catch(() => {});
  if (reply.raw.destroyed) close();
  else reply.raw.once("close", close);
  return reply.header("content-type", ndjson).send(Readable.from(lines(pages, first)));
}

type Pages<File, Told> = AsyncGenerator<File | FilePage<Told>, FileSummary>;

/** What is told to nobody. */
const nothing: FileSummary = { id: null, counts: {}, reason: null };

/** The file, and then what becomes of its rows. The upload goes when the work ends, however it does. */
async function* importing<File extends HandFile, Told>(
  api: Api,
  stream: Readable,
  work: Work<File, Told>,
  over: () => void,
): Pages<File, Told> {
  let upload: string | undefined;
  try {
    upload = join(api.import_folder, await keepUpload(api, stream, file_bytes_max));
    const file = must(await work.check(upload, delimiters[work.delimiter]));
    yield file;
    return yield* work.pages(file);
  } finally {
    over();
    if (upload !== undefined) await rm(upload, { force: true }).catch(() => {});
  }
}

async function* lines<File extends HandFile, Told>(
  pages: Pages<File, Told>,
  first: IteratorResult<File | FilePage<Told>, FileSummary>,
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

/** Answers with the lines of an import that is taken back. */
export function answerUndo(
  reply: FastifyReply,
  begun: AsyncGenerator<readonly UndoneRow[], UndoSummary> | Refusal,
): FastifyReply {
  return reply.header("content-type", ndjson).send(Readable.from(undoLines(must(begun))));
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

/** An import of the past as it is shown, without what only imports of another kind have. */
const pastImport = ({ started_by, undone_by, kind, activate, exact, node: _, ...row }: PeopleImport) => ({
  ...row,
  ...(kind === "people" ? { activate } : { exact }),
  started_by: started_by.name,
  undone_by: undone_by?.name ?? null,
});

/** An import of a kind, or 404. */
export async function anImport(api: Api, kind: FileKind, id: string): Promise<PeopleImport> {
  return found(await peopleImport(api.db, id, kind), id, "Import");
}

/** The list of imports of a kind, and one of them. */
export function pastRoutes(
  server: Server,
  api: Api,
  { kind, area, path }: Readonly<{ kind: FileKind; area: Area; path: string }>,
): void {
  const querystring = z.object(paged);
  server.get(
    path,
    about(area, `Imports of files of ${kind}, the newest first`, { querystring }),
    async (request, reply) => {
      const { after, limit } = request.query;
      const rows = await listPeopleImports(api.db, kind, { limit: limit + 1, ...given("after", after) });
      return page(request, reply, rows.map(pastImport), limit, ({ id }) => id);
    },
  );

  server.get(
    `${path}/:import_id`,
    about(area, `One import of a file of ${kind}`, { params: import_params }),
    async (request) => pastImport(await anImport(api, kind, request.params.import_id)),
  );
}
