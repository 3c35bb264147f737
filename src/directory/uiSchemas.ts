/**
 * Forms for people to fill in, as Okta's API keeps them: which attributes, in which order, under which label. Nothing of
 * ours shows them; they are kept, checked against the attributes that there are, and given back.
 */
import type { Selectable } from "kysely";
import type { Refusal, Value } from "../core/types.ts";
import { type Database, json, sql } from "../store/database.ts";
import type { Tables } from "../store/tables.ts";
import { type Command, log, type Running, run } from "./command.ts";
import { userSchema } from "./schemaQueries.ts";

export type UiSchema = Selectable<Tables["ui_schemas"]>;

/** A form; each element's `scope` is `#/properties/<attribute>`. */
export type UiForm = Readonly<{ elements: readonly Readonly<{ scope: string }>[] }> & Readonly<Record<string, Value>>;

const forms_max = 1_000;

/** Every form in order of age. */
export async function listUiSchemas(db: Database): Promise<readonly UiSchema[]> {
  return db.selectFrom("ui_schemas").selectAll().orderBy("id").limit(forms_max).execute();
}

/** The form with this id. */
export async function getUiSchema(db: Database, id: string): Promise<UiSchema | undefined> {
  return db.selectFrom("ui_schemas").selectAll().where("id", "=", id).executeTakeFirst();
}

/** Keeps a new form. Refuses one that asks for an attribute which users do not have. */
export function createUiSchema(command: Command, form: UiForm): Promise<UiSchema | Refusal> {
  return run<UiSchema>(command, async (running) => {
    const refused = await judge(running, form);
    if (refused) return refused;
    const { rows: held } = await sql<{ n: number }>`select count(*)::int as n from ui_schemas`.execute(running.db);
    if ((held[0]?.n ?? 0) >= forms_max) {
      return {
        refused: `there are ${forms_max} forms already; delete one first`,
        code: "too_large",
        place: "uiSchema",
      };
    }
    const now = running.now();
    const { rows } = await sql<UiSchema>`
      insert into ui_schemas (body, created_at, updated_at)
      values (${json(form)}, ${now}::timestamptz, ${now}::timestamptz) returning *`.execute(running.db);
    const made = rows[0] as UiSchema;
    await note(running, "ui_schema.create", made.id);
    return made;
  });
}

/** Replaces a form. */
export function replaceUiSchema(command: Command, id: string, form: UiForm): Promise<UiSchema | Refusal> {
  return run<UiSchema>(command, async (running) => {
    const refused = await judge(running, form);
    if (refused) return refused;
    const { rows } = await sql<UiSchema>`
      update ui_schemas set body = ${json(form)}, updated_at = ${running.now()}::timestamptz
      where id = ${id} returning *`.execute(running.db);
    if (rows[0] === undefined) return { refused: `there is no form ${id.slice(0, 100)}`, code: "not_found" };
    await note(running, "ui_schema.update", id);
    return rows[0];
  });
}

/** Forgets a form; none there is fine. */
export function deleteUiSchema(command: Command, id: string): Promise<"deleted" | Refusal> {
  return run<"deleted">(command, async (running) => {
    const { rows } = await sql`delete from ui_schemas where id = ${id} returning id`.execute(running.db);
    if (rows.length > 0) await note(running, "ui_schema.delete", id);
    return "deleted";
  });
}

const note = (running: Running, type: string, id: string) =>
  log(running, { type, targets: [{ id, type: "UISchema", name: id }] });

async function judge(running: Running, { elements }: UiForm): Promise<Refusal | undefined> {
  const names = new Set((await userSchema(running.db)).attributes.map(({ name }) => name));
  for (const [n, { scope }] of elements.entries()) {
    const name = /^#\/properties\/(.+)$/.exec(scope)?.[1];
    if (name !== undefined && names.has(name)) continue;
    const refused = `elements.${n}.scope: "${scope.slice(0, 100)}" is no attribute of users; write #/properties/ and its name, as in #/properties/firstName`;
    return { refused, code: "invalid", place: "uiSchema" };
  }
  return undefined;
}
