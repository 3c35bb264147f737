/**
 * What both kinds of assignment need of an app: that it is there, and which values for its accounts its schema allows.
 * Called by assignments.ts and groupAssignments.ts only.
 */
import type { Outcome, Profile, Refusal, Schema } from "../core/types.ts";
import type { Database } from "../store/database.ts";
import { judgeProfile, loadSchema } from "./schemaQueries.ts";

/** An app as events name it. */
export type TargetApp = Readonly<{ id: string; label: string }>;

/** The app and its schema, or that it is not there. */
export async function readTarget(db: Database, app_id: string): Promise<(TargetApp & { schema: Schema }) | Refusal> {
  const app = await db.selectFrom("apps").select(["id", "label"]).where("id", "=", app_id).executeTakeFirst();
  if (app === undefined) return { refused: `there is no app ${app_id.slice(0, 100)}`, code: "not_found" };
  return { ...app, schema: (await loadSchema(db, "app", app_id)) ?? { attributes: [] } };
}

/** Values for an account, checked against the app's schema; an empty value is no value. */
export function judgeAssignmentProfile(schema: Schema, profile: Profile | undefined): Outcome<Profile> {
  if (profile === undefined || Object.keys(profile).length === 0) return { ok: {} };
  const judged = judgeProfile(schema, profile, { partial: true });
  if ("refused" in judged) return judged;
  return { ok: Object.fromEntries(Object.entries(judged.ok).filter(([, value]) => value !== null)) };
}
