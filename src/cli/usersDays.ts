/** tenure users add and dates: people by hand, with the days they come and go. */
import { dayBefore } from "../core/days.ts";
import type { Given, Options } from "./args.ts";
import type { Client } from "./client.ts";
import { findGroup, type User, userAttributes } from "./find.ts";
import { plain, print, printFacts, printJson } from "./output.ts";
import { momentOf, type Part, pairsOf } from "./parts.ts";
import { type Preview, printPreview } from "./preview.ts";

/** A person's days as the API gives them: instants in ISO 8601. */
export type Dates = Readonly<{
  status?: string;
  starts_at: string | null;
  ends_at: string | null;
  time_zone: string | null;
  hold?: Readonly<{ reason: string; until: string | null; by: string }> | null;
  /** What a source has told ahead. */
  ahead?: readonly Readonly<{ at: string; source: string | null; changes: Readonly<Record<string, unknown>> }>[];
}>;

const days: Options = {
  start: { value: "WHEN", help: "First day: they are staged until then. A day is one where they are; none: no day" },
  end: {
    value: "WHEN",
    help: "Last day: they are deactivated when it is over, at once if it is over already; none: no day",
  },
  zone: { value: "ZONE", help: "Their time zone, such as Europe/Rome; without one a day is one of the company's zone" },
};

export const add: Part = {
  usage: {
    name: "users add",
    words: "LOGIN",
    summary: "Creates a person. The login is also the e-mail address unless that is set.",
    options: {
      first: { value: "NAME", help: "First name" },
      last: { value: "NAME", help: "Last name" },
      email: { value: "ADDRESS", help: "E-mail address" },
      set: { value: "NAME=VALUE", many: true, help: "An attribute; may be given again and again" },
      group: { value: "GROUP", many: true, help: "A group to be in, by name or id; may be given again" },
      staged: { help: "Do not activate yet" },
      ...days,
      "dry-run": { help: "Show the groups and apps that they would get, and make nobody" },
    },
  },
  least: 1,
  run: async (client, given, [login = ""]) => {
    const attributes = {
      firstName: given.text("first"),
      lastName: given.text("last"),
      email: given.text("email") ?? login,
    };
    const named = Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
    const group_ids = await Promise.all(given.texts("group").map(async (group) => (await findGroup(client, group)).id));
    const hire = {
      profile: { login, ...named, ...(await attributesOf(client, given.texts("set"))) },
      ...{ group_ids, activate: !given.flag("staged") },
      ...daysOf(given),
    };
    if (given.flag("dry-run")) {
      const seen = await client.send<Dates & { login: string; preview: Preview }>("POST", "/admin/v1/hires", {
        ...hire,
        dry_run: true,
      });
      if (given.flag("json")) return printJson(seen);
      const over = seen.ends_at !== null && Date.parse(seen.ends_at) <= Date.now();
      print(`${plain(seen.login)} would be made${given.flag("staged") ? ", staged until they are activated" : ""}:`);
      for (const [name, value] of datesOf(seen)) print(`  ${name} ${plain(value)}`);
      if (over) return print("  the last day is over: they would be deactivated at once, and get nothing");
      print("once they work here:");
      for (const group of given.texts("group")) print(`  joins group ${plain(group)} by hand`);
      return printPreview(seen.preview);
    }
    const made = await client.send<Dates & Pick<User, "id"> & { login: string }>("POST", "/admin/v1/hires", hire);
    printFacts(given, made, [["id", made.id], ["login", made.login], ["status", made.status], ...datesOf(made)]);
    warn(given, made);
  },
};

export const dates: Part = {
  usage: {
    name: "users dates",
    words: "USER",
    summary: "Says when a person comes and goes; without a switch, shows it.",
    options: days,
  },
  least: 1,
  run: async (client, given, [user = ""]) => {
    const body = daysOf(given);
    const url = `/admin/v1/users/${encodeURIComponent(user)}/dates`;
    const asks = Object.keys(body).length === 0;
    const after = asks ? await client.get<Dates>(url) : await client.send<Dates>("PATCH", url, body);
    const facts = datesOf(after);
    printFacts(given, after, [["status", after.status], ...(facts.length === 0 ? [["days", "none"] as const] : facts)]);
    if (body.ends_at !== undefined) warn(given, after);
  },
};

/** Attributes of a person as they were typed: `employeeNumber=1001` is a text where the schema says so. */
export async function attributesOf(client: Client, texts: readonly string[]): Promise<Record<string, unknown>> {
  const read = pairsOf(texts);
  const digits = Object.entries(read).filter(([, value]) => typeof value === "number" || typeof value === "boolean");
  if (digits.length === 0) return read;
  const { properties } = await userAttributes(client);
  const typed = new Map(texts.map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)]));
  const asText = digits.filter(([name]) => Object.hasOwn(properties, name) && properties[name]?.type === "string");
  return { ...read, ...Object.fromEntries(asText.map(([name]) => [name, typed.get(name)])) };
}

/** What was said of the days. A day stays one: only the server knows where it is. */
function daysOf(given: Given): Readonly<{ starts_at?: string | null; ends_at?: string | null; time_zone?: string }> {
  const [starts_at, ends_at, time_zone] = [whenOf(given, "start"), whenOf(given, "end"), given.text("zone")];
  return {
    ...(starts_at === undefined ? {} : { starts_at }),
    ...(ends_at === undefined ? {} : { ends_at }),
    ...(time_zone === undefined ? {} : { time_zone }),
  };
}

function whenOf(given: Given, name: string): string | null | undefined {
  const text = given.text(name);
  if (text === "none") return null;
  const moment = momentOf(given, name);
  return text !== undefined && /^\d{4}-\d{2}-\d{2}$/.test(text) ? text : moment;
}

/** The days as a person reads them, each with its instant. */
export function datesOf({
  starts_at,
  ends_at,
  time_zone,
  hold,
  ahead = [],
}: Dates): readonly (readonly [string, unknown])[] {
  const zone = time_zone ?? "UTC";
  // The day that an instant is in is the one that is under way a millisecond later.
  const first = starts_at === null ? undefined : dayBefore(new Date(Date.parse(starts_at) + 1), zone);
  const last = ends_at === null ? undefined : dayBefore(new Date(ends_at), zone);
  return [
    ...(first === undefined ? [] : [["first day", `${first} (from ${starts_at})`] as const]),
    ...(last === undefined ? [] : [["last day", `${last} (until ${ends_at})`] as const]),
    ...(time_zone === null ? [] : [["time zone", time_zone] as const]),
    ...(hold
      ? [["held", `by ${hold.by}${hold.until === null ? "" : ` until ${hold.until}`}: ${hold.reason}`] as const]
      : []),
    ...ahead.map(({ at, source, changes }) => [`from ${at}`, aheadOf(changes, source)] as const),
  ];
}

/** "department: Finance; title: nothing, as Feed told". */
function aheadOf(changes: Readonly<Record<string, unknown>>, source: string | null): string {
  const values = Object.entries(changes).map(
    ([name, value]) => `${name}: ${value === null ? "nothing" : plain(value)}`,
  );
  return `${values.join("; ") || "other days"}${source === null ? "" : `, as ${source} told`}`;
}

function warn(given: Given, { ends_at, status }: Dates): void {
  if (given.flag("json") || ends_at === null || Date.parse(ends_at) > Date.now()) return;
  if (status !== "DEPROVISIONED") print("the last day is over: they are deactivated now, and their accounts go");
}
