/**
 * Settings of the installation: named JSON values that no noun owns (the company's name and time zone, the base of the
 * log's addresses). Who reads one knows its shape and its default; nothing secret is ever a setting.
 */
import type { Refusal, Value } from "../core/types.ts";
import { type Database, json, sql } from "../store/database.ts";
import { type Command, log, run } from "./command.ts";

const name_max = 100;
const value_bytes_max = 65_536;

/** The value of a setting, or undefined when it was never set. */
export async function readSetting(db: Database, name: string): Promise<Value | undefined> {
  const row = await db.selectFrom("settings").select("value").where("name", "=", name).executeTakeFirst();
  return row?.value;
}

/** Every setting by name, in order of names. */
export async function listSettings(db: Database): Promise<{ name: string; value: Value }[]> {
  return db.selectFrom("settings").selectAll().orderBy("name").execute();
}

/** Sets a setting; null forgets it. Refuses names that are not plain words and values over 64 KiB. */
export function setSetting(command: Command, name: string, value: Value): Promise<Value | Refusal> {
  return run<Value>(command, async (running) => {
    if (!/^[a-z][a-z0-9_.]*$/.test(name) || name.length > name_max) {
      return { refused: `"${name.slice(0, name_max)}" cannot name a setting: use a-z, 0-9, _ and .`, code: "invalid" };
    }
    if (Buffer.byteLength(JSON.stringify(value)) > value_bytes_max) {
      return {
        refused: `the value of setting ${name} is over ${value_bytes_max} bytes`,
        code: "too_large",
        place: name,
      };
    }
    const { numAffectedRows } =
      value === null
        ? await sql`delete from settings where name = ${name}`.execute(running.db)
        : await sql`
            insert into settings (name, value) values (${name}, ${json(value)})
            on conflict (name) do update set value = excluded.value where settings.value <> excluded.value`.execute(
            running.db,
          );
    // Setting what is already set changes nothing and says nothing.
    if (Number(numAffectedRows ?? 0) > 0)
      await log(running, { type: "system.setting.update", detail: { name, value } });
    return value;
  });
}
