/**
 * Files that clients send: kept below the import folder under a name of ours, never one of the client's, and bounded.
 */
import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Attribute } from "../../core/types.ts";
import { adoptAppSchema } from "../../directory/apps.ts";
import type { Command } from "../../directory/command.ts";
import type { Api } from "../api.ts";
import { ApiError, invalid, must } from "../errors.ts";

/** Bytes of one upload: some tens of millions of people. */
export const upload_bytes_max = 4 * 1024 ** 3;

/** Asks an app for its attributes (with `file`, that file for its columns) and takes them over. */
export async function learnColumns(
  api: Api,
  command: Command,
  app_id: string,
  file?: string,
): Promise<readonly Attribute[]> {
  const { attributes } = await failing(async () => {
    const { connector } = file === undefined ? await api.world.app(app_id) : await api.world.source(app_id, file);
    return connector.schema({ signal: AbortSignal.timeout(60_000), log: () => {}, now: api.world.now });
  });
  must(await adoptAppSchema(command, app_id, attributes));
  return attributes;
}

/** A failure of the app is told in its words: it is no failure of this server. */
export async function failing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if ((error as Error).name !== "ConnectorFault") throw error;
    throw new ApiError(400, "E0000001", "Api validation failed: app", [(error as Error).message]);
  }
}

/** Writes an upload of at most `max` bytes to a file of our naming. Gives its path below the import folder. */
export async function keepUpload(api: Api, stream: Readable, max = upload_bytes_max): Promise<string> {
  await mkdir(join(api.import_folder, "uploads"), { recursive: true, mode: 0o700 });
  const file = `uploads/${randomUUID()}.csv`;
  let bytes = 0;
  const bounded = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(bytes > max ? invalid("file", `the file is larger than ${max} bytes; import it in parts`) : null, chunk);
    },
  });
  try {
    await pipeline(stream, bounded, createWriteStream(join(api.import_folder, file), { mode: 0o600 }));
  } catch (error) {
    await rm(join(api.import_folder, file), { force: true });
    throw error;
  }
  if (bytes > 0) return file;
  await rm(join(api.import_folder, file), { force: true });
  throw invalid("file", "the file is empty");
}
