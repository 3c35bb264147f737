/**
 * What the routes below /api/v1/identity-sources share: the source that a path names, what it may send, and waiting for a
 * record to be imported.
 *
 * Law: what is not valid is refused whole, before any of it is kept. Every value is a text; an attribute that the source's
 * schema does not have is a mistake, and is named.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { App } from "../../directory/apps.ts";
import type { Command } from "../../directory/command.ts";
import { getSession, type ImportSession, sendRecord } from "../../directory/importSessions.ts";
import { loadSchema } from "../../directory/schemaQueries.ts";
import type { RecordProfile, SessionRecord } from "../../directory/sessionRecords.ts";
import { runNextSession } from "../../engine/sessionRuns.ts";
import { sql } from "../../store/database.ts";
import type { Api } from "../api.ts";
import { ApiError, invalid, must } from "../errors.ts";
import { app_params, oneApp } from "./oneApp.ts";

export const source_params = app_params;

const text_max = 32_768;
const isClean = (text: string) => !text.includes("\0") && text.isWellFormed();
const unclean = { error: "holds a character that cannot be stored (NUL or half of a surrogate pair)" };

/** An id in the source: it never changes. */
export const external_id = z.string().min(1).max(512).refine(isClean, unclean);

/** Attribute → text; null and "" are no value. */
export const source_profile = z.record(
  z.string().max(200),
  z.string().max(text_max).refine(isClean, unclean).nullable(),
);

/** The identity source that a path names. @throws ApiError 404 for no app, 400 for one that is no identity source. */
export async function oneSource(api: Api, app_id: string): Promise<App> {
  const app = await oneApp(api, app_id);
  if (app.kind === "push" && app.sourcing !== null) return app;
  const way = app.kind === "push" ? "turn sourcing on for it" : "make an app of kind push, with sourcing on";
  throw invalid("identitySourceId", `${app.label} is no identity source: ${way}`);
}

/** Says what is wrong with attributes of people that a source sends; [] if nothing is. */
export type JudgeProfile = (place: string, profile: RecordProfile, external_id: string) => readonly string[];

/** What judges the profiles of a source's people, by its schema. */
export async function profileJudge(api: Api, app: App): Promise<JudgeProfile> {
  const attributes = (await loadSchema(api.db, "app", app.id))?.attributes ?? [];
  const known = new Set(attributes.map(({ name }) => name));
  return (place, profile, id) =>
    Object.entries(profile).flatMap(([name, value]) => {
      if (!known.has(name)) {
        const way = `add it at /api/v1/meta/schemas/apps/${app.id}/default, or leave it out`;
        return [`${place}.${name}: ${app.label} has no such attribute; ${way}`];
      }
      if (name !== "externalId" || value === id) return [];
      return [`${place}.externalId: never changes, and is ${id} here; leave it out`];
    });
}

/** A profile as it is kept: with the id, which mappings may read like any attribute, and null where there is no value. */
export function keptProfile(external_id: string, profile: RecordProfile): RecordProfile {
  const values = Object.entries(profile).map(([name, value]) => [name, value === "" ? null : value] as const);
  return { ...Object.fromEntries(values), externalId: external_id };
}

/** @throws ApiError 400 naming what is there twice, or wrong; at most 20 of it. */
export function refuseFaults(object: string, faults: readonly string[]): void {
  if (faults.length > 0) throw invalid(object, ...faults.slice(0, 20));
}

/** Where ids are that were there before: `profiles.7.externalId: is at profiles.3 already`. */
export function doubles(name: string, ids: readonly string[], field = ".externalId"): readonly string[] {
  const places = new Map<string, number>();
  return ids.flatMap((id, n) => {
    const before = places.get(id);
    if (before !== undefined) return [`${name}.${n}${field}: is at ${name}.${before} already; send each once`];
    places.set(id, n);
    return [];
  });
}

/** A request waits so long for the import of its record; it goes on afterwards by itself. */
const patience_ms = 10_000;
const look_ms = 150;

/**
 * Sends one record and imports it, as an import of one row. Gives true when that is done, false when it waits: behind an
 * import that is running, or for a person.
 *
 * @throws ApiError in the import's words when it was refused.
 */
export async function importRecord(api: Api, command: Command, app: App, record: SessionRecord): Promise<boolean> {
  const sent = must(await sendRecord(command, app.id, record));
  const until = Date.now() + patience_ms;
  for (;;) {
    const ran = await runNextSession(api.world, app.id);
    const session = await getSession(api.db, app.id, sent.id);
    if (session === undefined || session.held) return false;
    if (session.status !== "TRIGGERED") return judgeEnd(api, session);
    if (Date.now() > until) return false;
    if (!ran) await sleep(look_ms);
  }
}

async function judgeEnd(api: Api, { import_id, status, reason }: ImportSession): Promise<boolean> {
  if (status === "ERROR") throw invalid("profile", reason ?? "the import failed");
  const { rows } = await sql<{ outcome: string; reason: string | null }>`
    select outcome, detail->>'reason' as reason from import_rows where import_id = ${import_id}
    order by line limit 1`.execute(api.db);
  const { outcome, reason: why } = rows[0] ?? {};
  if (outcome === "refused" || outcome === "group_refused" || outcome === "member_refused") {
    throw invalid("profile", why ?? "the import refused it");
  }
  if (outcome === "skipped") {
    throw new ApiError(403, "E0000038", "This operation is not allowed in the user's current status.", [
      why ?? "the person's status does not allow it",
    ]);
  }
  return outcome !== "waiting";
}
