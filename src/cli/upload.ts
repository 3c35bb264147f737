/** Sending a file, with how far it is on standard error. */
import { createReadStream } from "node:fs";
import { type Readable, Transform } from "node:stream";
import type { Given } from "./args.ts";
import { CliError } from "./errors.ts";
import { openFile } from "./files.ts";
import { progress } from "./output.ts";

/** An import whose server went away before it said anything of it: what to do. Any other error as it is. */
export function cutOffEarly(error: unknown): unknown {
  if (!(error instanceof CliError) || (error.code !== "ECONNRESET" && error.code !== "EPIPE")) return error;
  const next = "the server ended before it told of the import. When it is there again, run the same command again";
  return new CliError(
    error.exit_code,
    `${error.message}\n${next}: what was done is not done twice`,
    undefined,
    error.code,
  );
}

/** Opens a file for `send`. @throws CliError when there is none, before anything is sent. */
export async function sending<T>(
  given: Given,
  file: string,
  send: (upload: Readonly<{ stream: Readable; size: number }>) => Promise<T>,
): Promise<T> {
  const { handle, size } = openFile(file);
  const bar = progress(given);
  let sent = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sent += chunk.length;
      bar.show("uploading", sent, size);
      done(null, chunk);
    },
  });
  try {
    const stream = createReadStream(file, { fd: handle });
    stream.on("error", (error) => counter.destroy(error));
    return await send({ stream: stream.pipe(counter), size });
  } finally {
    bar.end();
  }
}
