/**
 * Logos of apps: a picture that somebody sent, told from other files by how it begins, never by what it is called.
 * Called by the server (okta/appLogo.ts).
 */
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import { type Command, log, run } from "./command.ts";

/** A picture and its media type. */
export type Logo = Readonly<{ type: string; bytes: Uint8Array }>;

const bytes_max = 1_000_000;
/** What files of each type begin with. */
const beginnings: Readonly<Record<string, readonly string[]>> = {
  "image/png": ["\x89PNG\r\n\x1a\n"],
  "image/gif": ["GIF87a", "GIF89a"],
  "image/jpeg": ["\xff\xd8\xff"],
};
const svg = /^(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--[^>]{0,500}-->\s*)?<svg[\s>]/;

/** What a file is, by its first bytes; undefined: no picture that a logo may be. */
export function pictureType(bytes: Buffer): string | undefined {
  const start = bytes.subarray(0, 1_024).toString("latin1");
  const known = Object.keys(beginnings).find((type) => beginnings[type]?.some((mark) => start.startsWith(mark)));
  return known ?? (svg.test(start) ? "image/svg+xml" : undefined);
}

/** Gives an app a logo, in place of the one it had. */
export function setLogo(
  command: Command,
  app: Readonly<{ id: string; label: string }>,
  bytes: Buffer,
): Promise<"set" | Refusal> {
  return run<"set">(command, async (running) => {
    const type = pictureType(bytes);
    if (type === undefined)
      return { refused: "file: a logo is a PNG, JPEG, GIF or SVG picture", code: "invalid", place: "file" };
    if (bytes.length > bytes_max) return { refused: "file: a logo has 1 MB at most", code: "too_large", place: "file" };
    await sql`
      insert into logos (app_id, type, bytes, updated_at)
      values (${app.id}, ${type}, ${bytes}, ${running.now()}::timestamptz)
      on conflict (app_id) do update set type = excluded.type, bytes = excluded.bytes, updated_at = excluded.updated_at`.execute(
      running.db,
    );
    await log(running, {
      type: "application.lifecycle.update",
      app_id: app.id,
      targets: [{ id: app.id, type: "AppInstance", name: app.label }],
      detail: { changed: ["logo"] },
    });
    return "set";
  });
}

/** The logo of an app, or undefined. */
export function logoOf(db: Database, app_id: string): Promise<Logo | undefined> {
  return db.selectFrom("logos").select(["type", "bytes"]).where("app_id", "=", app_id).executeTakeFirst();
}
