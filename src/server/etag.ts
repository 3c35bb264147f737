/**
 * ETag and If-Match: who changes what they read before can ask that nobody has changed it since. The tag is the moment
 * of the last change, so it costs nothing to make and means the same on every node.
 *
 * Law: the row is locked before it is compared, so of two who read the same, one is refused. Without If-Match nothing is
 * compared, as Okta's clients send none.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Refusal } from "../core/types.ts";
import { type Command, run } from "../directory/command.ts";
import { sql } from "../store/database.ts";
import { ApiError } from "./errors.ts";

const tagOf = (updated_at: Date) => `W/"${updated_at.getTime().toString(36)}"`;

/** Names the state that this answer shows. */
export function setTag(reply: FastifyReply, updated_at: Date): void {
  reply.header("etag", tagOf(updated_at));
}

/**
 * Does the work of a command on one row, unless the request says If-Match and the row has changed since.
 *
 * @throws ApiError 412 when it has.
 */
export function whenMatching<T>(
  request: FastifyRequest,
  command: Command,
  table: "users" | "groups" | "apps",
  id: string,
  work: (command: Command) => Promise<T | Refusal>,
): Promise<T | Refusal> {
  const wanted = request.headers["if-match"];
  if (wanted === undefined || wanted.trim() === "*") return work(command);
  return run(command, async (running) => {
    const { rows } = await sql<{ updated_at: Date }>`
      select updated_at from ${sql.table(table)} where id = ${id} for update`.execute(running.db);
    const [row] = rows;
    const given = wanted.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
    if (row !== undefined && !given.includes(tagOf(row.updated_at).slice(2))) {
      throw new ApiError(412, "E0000001", "Precondition failed: If-Match", [
        `${id} has changed since it was read: read it again, and change that`,
      ]);
    }
    return work(running);
  });
}
