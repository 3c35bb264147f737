/**
 * What the organisation says of itself: name and addresses, whom to ask about bills and technology, and switches that
 * clients expect. All of it is settings; nothing here changes what anybody may do.
 *
 * Support access is a switch with an end and nothing behind it: there is nobody outside to let in.
 */
import { isZone } from "../core/expression/functions/zones.ts";
import type { Refusal, Value } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import { type Command, run } from "./command.ts";
import { readSetting, setSetting } from "./settings.ts";

/** Texts of the organisation, in Okta's names. */
export const org_texts = [
  ...["phoneNumber", "endUserSupportHelpURL", "supportPhoneNumber"],
  ...["address1", "address2", "city", "state", "country", "postalCode"],
] as const;

/** `name` and `website` are the settings company_name and company_website. */
export type Organisation = Readonly<{
  name: string;
  website: string | null;
  texts: Readonly<Record<string, string | null>>;
  created_at: Date | null;
  updated_at: Date | null;
}>;

export type OrganisationChange = Readonly<{
  name?: string;
  website?: string | null;
  texts?: Readonly<Record<string, string | null>>;
}>;

export const contact_types = ["BILLING", "TECHNICAL"] as const;
export type ContactType = (typeof contact_types)[number];

const support_hours = 24;
const hour_ms = 3_600_000;

/** The zone of the company's clock, by its setting `org`; UTC until that says one that there is. */
export function companyZone(org: Value | undefined): string {
  const zone =
    typeof org === "object" && org !== null ? (org as Readonly<Record<string, Value>>)["time_zone"] : undefined;
  return typeof zone === "string" && isZone(zone) ? zone : "UTC";
}

export async function readOrganisation(db: Database): Promise<Organisation> {
  const { rows } = await sql<{ name: string; value: Value }>`
    select name, value from settings where name in ('company_name', 'company_website', 'org.texts', 'org.updated_at')`.execute(
    db,
  );
  const settings = new Map(rows.map(({ name, value }) => [name, value]));
  const { rows: first } = await sql<{ at: Date | null }>`select min(created_at) as at from schemas`.execute(db);
  const created_at = first[0]?.at ?? null;
  const updated = settings.get("org.updated_at");
  return {
    name: String(settings.get("company_name") ?? "Tenure"),
    website: (settings.get("company_website") as string | undefined) ?? null,
    texts: (settings.get("org.texts") as Record<string, string | null> | undefined) ?? {},
    created_at,
    updated_at: typeof updated === "string" ? new Date(updated) : created_at,
  };
}

/** Changes what is given; `replace`: what is not given is emptied. */
export function changeOrganisation(
  command: Command,
  change: OrganisationChange,
  replace: boolean,
): Promise<Organisation | Refusal> {
  return run<Organisation>(command, async (running) => {
    const before = await readOrganisation(running.db);
    const texts = replace ? (change.texts ?? {}) : { ...before.texts, ...change.texts };
    if (change.name !== undefined) await setSetting(running, "company_name", change.name);
    if (change.website !== undefined || replace) await setSetting(running, "company_website", change.website ?? null);
    await setSetting(running, "org.texts", texts);
    await setSetting(running, "org.updated_at", running.now().toISOString());
    return readOrganisation(running.db);
  });
}

/** Until when support has access; null: it has none. */
export async function supportAccess(db: Database, now: Date): Promise<Date | null> {
  const until = await readSetting(db, "org.support_until");
  const at = typeof until === "string" ? new Date(until) : null;
  return at !== null && at > now ? at : null;
}

/** Turns support access on for a day, on for a day longer, or off. */
export async function changeSupportAccess(
  command: Command,
  change: "grant" | "extend" | "revoke",
): Promise<Date | null | Refusal> {
  const now = command.now();
  const from = change === "extend" ? ((await supportAccess(command.db, now)) ?? now) : now;
  const until = change === "revoke" ? null : new Date(from.getTime() + support_hours * hour_ms);
  const done = await setSetting(command, "org.support_until", until?.toISOString() ?? null);
  return typeof done === "object" && done !== null && "refused" in done ? (done as Refusal) : until;
}

/** A switch of the organisation; off where nobody has set it, unless `standard` says on. */
export async function readSwitch(db: Database, name: string, standard: boolean): Promise<boolean> {
  const value = await readSetting(db, name);
  return typeof value === "boolean" ? value : standard;
}

/** Which of these switches are on, by name, in one question. */
export async function readSwitches(
  db: Database,
  switches: readonly Readonly<{ setting: string; standard: boolean }>[],
): Promise<ReadonlyMap<string, boolean>> {
  const names = switches.map(({ setting }) => setting);
  const { rows } = await sql<{ name: string; value: Value }>`
    select name, value from settings where name = any(${names}::text[])`.execute(db);
  const said = new Map(rows.map(({ name, value }) => [name, value]));
  return new Map(
    switches.map(({ setting, standard }) => {
      const value = said.get(setting);
      return [setting, typeof value === "boolean" ? value : standard];
    }),
  );
}

/** Whom to ask; where nobody was named, the first super administrator; null where there is none. */
export async function contactOf(db: Database, type: ContactType): Promise<string | null> {
  const { rows } = await sql<{ id: string }>`
    select id from users
    where id = (select value#>>'{}' from settings where name = ${settingOf(type)}) or super_admin
    order by super_admin and id is distinct from (select value#>>'{}' from settings where name = ${settingOf(type)}), id
    limit 1`.execute(db);
  return rows[0]?.id ?? null;
}

/** Names a person to ask. The caller knows that they are there. */
export function setContact(command: Command, type: ContactType, user_id: string): Promise<Value | Refusal> {
  return setSetting(command, settingOf(type), user_id);
}

const settingOf = (type: ContactType) => `org.contact_${type.toLowerCase()}`;
