/**
 * What the API's tests were answered, for the compatibility page: with TENURE_ANSWERS naming a folder, every new
 * combination of method, endpoint and status is added to a file of this process there. Without it nothing is noted.
 *
 * Called by api.ts for each server that tests build; read by scripts/compatibility.ts.
 */
import { appendFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import type { Server } from "../../src/server/api.ts";

const folder = process.env["TENURE_ANSWERS"];
const seen = new Set<string>();

/** Notes what a server answers from now on. Call it before the first request. */
export function noteAnswers(server: Server): void {
  if (folder === undefined) return;
  const file = path.join(folder, `${process.pid}.txt`);
  server.addHook("onResponse", (request, reply, done) => {
    const { url } = request.routeOptions;
    const line = `${request.method} ${url} ${reply.statusCode}`;
    if (url !== undefined && !seen.has(line)) {
      seen.add(line);
      appendFileSync(file, `${line}\n`);
    }
    done();
  });
}
