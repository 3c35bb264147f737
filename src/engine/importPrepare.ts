/**
 * What a source needs before its first row can be judged: a schema, read from the source itself if nobody gave one; a
 * mapping to users, by equal names if nobody wrote one; and a line for each attribute without which nobody can be made.
 */
import type { Context } from "../connectors/connector.ts";
import type { Attribute, Refusal } from "../core/types.ts";
import { adoptAppSchema } from "../directory/apps.ts";
import { defaultSourceLines } from "../directory/defaultMapping.ts";
import { mappingOf, putMapping } from "../directory/mappings.ts";
import { schemaOfType, userSchema } from "../directory/schemaQueries.ts";
import { isRefusal } from "../store/database.ts";
import type { ImportRun } from "./import.ts";
import type { EngineApp } from "./world.ts";

/** What SCIM calls the attributes of a user, where the names differ. */
const scim_names: Readonly<Record<string, string>> = {
  ...{ firstName: "givenname", lastName: "familyname", primaryPhone: "phonenumber", city: "locality", state: "region" },
  ...{ zipCode: "postalcode", countryCode: "country", managerId: "manager" },
};

/** What is needed of a run to prepare its source. */
type Preparing = Pick<ImportRun, "world" | "command" | "app_id" | "label">;

/** Prepares a source. Gives why it cannot be read as people, or undefined. */
export async function prepareSource(run: Preparing, app: EngineApp, ctx: Context): Promise<Refusal | undefined> {
  const attributes = app.attributes.length > 0 ? app.attributes : await discover(run, app, ctx);
  if (isRefusal(attributes)) return attributes;
  const schema = await userSchema(run.world.db);
  const user = schema.attributes;
  const mapping = await mappingOf(run.world.db, run.app_id, "to_user");
  let lines = mapping?.lines ?? {};
  if (Object.keys(lines).length === 0) {
    lines = defaultSourceLines(attributes, user, app.kind === "scim_in" ? scim_names : undefined);
    const put = await putMapping(run.command, run.app_id, "to_user", lines);
    if (isRefusal(put)) return put;
  }
  // What another type requires, its people are refused without.
  const everybody = schemaOfType(schema, null).attributes;
  const missing = everybody.filter(({ name, required }) => required && !(name in lines)).map(({ name }) => name);
  if (missing.length === 0) return undefined;
  const columns = attributes.map(({ name }) => name);
  return {
    refused: `nothing of ${run.label} is mapped to ${missing.join(", ")}, which every user must have; it has ${columns.join(", ")}: map one of them, as in tenure apps map "${run.label}" --to-user ${missing[0]}=appuser.${columns[0] ?? "name"}`,
    code: "invalid",
    place: missing[0] ?? "login",
  };
}

async function discover(run: Preparing, app: EngineApp, ctx: Context): Promise<readonly Attribute[] | Refusal> {
  const { attributes } = await app.connector.schema(ctx);
  const adopted = await adoptAppSchema(run.command, run.app_id, attributes);
  return isRefusal(adopted) ? adopted : attributes;
}
