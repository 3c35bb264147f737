/** tenure past: who had what on a past day, and why. */
import type { Client } from "./client.ts";
import { CliError, exit_codes } from "./errors.ts";
import { findGroup } from "./find.ts";
import { plain, print, printJson, printRows } from "./output.ts";
import { command, listed, pastOf } from "./parts.ts";
import { type Reason, wordsOf } from "./why.ts";

type Giver = Reason["membership"][number];
type Account = Readonly<{
  app: Readonly<{ id: string; label: string | null }>;
  source: boolean;
  user: Readonly<{ id: string; login: string | null }>;
  external_id: string | null;
  enabled: boolean | null;
  why: readonly Reason[];
}>;
type Member = Readonly<{ user: Readonly<{ id: string; login: string | null }>; by: readonly Giver[] }>;
type Person = Readonly<{
  at: string;
  user: Readonly<{ login: string; status: string; profile: Readonly<Record<string, unknown>> }>;
  groups: readonly Readonly<{ id: string; name: string | null; by: readonly Giver[] }>[];
  accounts: readonly Account[];
}>;

const encode = encodeURIComponent;

const givers = (by: readonly Giver[]) => by.map(({ kind, name }) => `${kind} ${plain(name)}`).join(", and by ");
const reasons = (why: readonly Reason[]) => why.map(wordsOf).join(", and ");
/** What somebody has for no reason is a source's row, or left there by those who manage the app. */
const because = ({ source, why }: Account) =>
  why.length > 0 ? reasons(why) : source ? "a row of this source" : "no reason";

function state({ enabled, source }: Account): string {
  if (enabled === null) return "still to be made";
  return source ? (enabled ? "active" : "inactive") : enabled ? "enabled" : "disabled";
}

export const { run } = command({
  usage: {
    name: "past",
    words: "[USER]",
    summary:
      "Says who had what on a past day, and why: a person with their groups and accounts, the accounts of an app, or the members of a group. An app or a group that was deleted since is asked for by id.",
    options: {
      at: { value: "WHEN", help: "A day (its beginning, UTC), a time, or how long ago: 30d, 8h" },
      app: { value: "APP", help: "The accounts of this app instead" },
      group: { value: "GROUP", help: "The members of this group instead" },
      limit: { value: "N", help: "With --app or --group: at most this many (1000)" },
    },
  },
  least: 0,
  most: 1,
  run: async (client, given, [user]) => {
    const at = pastOf(given, "at");
    const [app, group] = [given.text("app"), given.text("group")];
    if (user === "") throw new CliError(exit_codes.usage, "tenure past: USER is empty");
    if (at === undefined)
      throw new CliError(exit_codes.usage, "tenure past: --at WHEN is missing: a day, a time, or 30d");
    if ([user, app, group].filter((one) => one !== undefined).length !== 1) {
      throw new CliError(exit_codes.usage, "tenure past: name one of USER, --app APP, --group GROUP");
    }
    if (app !== undefined) {
      const path = `/admin/v1/past/apps/${encode(app)}/accounts`;
      printRows(given, await listed<Account>(client, given, path, { query: { at }, standard: 1_000 }), [
        ["person", ({ user: one }) => one.login ?? one.id],
        ["account", ({ external_id }) => external_id],
        ["state", state],
        ["because of", because],
      ]);
    } else if (group !== undefined) {
      const path = `/admin/v1/past/groups/${await groupId(client, group)}/members`;
      printRows(given, await listed<Member>(client, given, path, { query: { at }, standard: 1_000 }), [
        ["person", ({ user: one }) => one.login ?? one.id],
        ["by", ({ by }) => givers(by)],
      ]);
    } else {
      const found = await client.get<Person>(`/admin/v1/past/users/${encode(user ?? "")}`, { at });
      if (given.flag("json")) printJson(found);
      else printPerson(found);
    }
  },
});

/** Of a group that is gone the id is all there is. */
const groupId = async (client: Client, text: string): Promise<string> =>
  /^00g[0-9A-Za-z]{17}$/.test(text) ? text : (await findGroup(client, text)).id;

function printPerson({ at, user, groups, accounts }: Person): void {
  print(`${plain(user.login)} at ${at}: ${user.status}`);
  for (const [name, value] of Object.entries(user.profile)) {
    print(`  ${plain(name)}: ${plain(typeof value === "string" ? value : JSON.stringify(value))}`);
  }
  for (const { id, name, by } of groups) {
    print(`  was in ${plain(name ?? id)}${by.length === 0 ? "" : ` by ${givers(by)}`}`);
  }
  for (const account of accounts) {
    const { app, external_id } = account;
    const what = external_id === null ? "account" : `account ${plain(external_id)}`;
    print(`  had ${plain(app.label ?? app.id)} (${because(account)}): ${what}, ${state(account)}`);
  }
}
