/** tenure users: people, and what happens to them. */
import type { Client } from "./client.ts";
import { type App, findUser, type Group, type User } from "./find.ts";
import { print, printFacts, printJson, printRows } from "./output.ts";
import { commandOf, listed, momentOf, type Part } from "./parts.ts";
import { add, attributesOf, type Dates, dates, datesOf } from "./usersDays.ts";
import { bring, imports, template } from "./usersImport.ts";

type Account = Readonly<{
  app_id: string;
  have: Readonly<{ enabled: boolean }> | null;
  app_label: string;
  status: string;
  sync_state: string;
  scope: string | null;
  external_id: string | null;
  fault_detail: string | null;
}>;

const encode = encodeURIComponent;
const name = (user: User) => [user.profile["firstName"], user.profile["lastName"]].filter(Boolean).join(" ");
const list: Part = {
  usage: {
    name: "users list",
    words: "",
    summary: "Lists people.",
    options: {
      search: { value: "FILTER", help: `As in 'profile.department eq "Sales" and status eq "ACTIVE"'` },
      q: { value: "TEXT", help: "Start of first name, last name or e-mail" },
      limit: { value: "N", help: "At most this many (200)" },
    },
  },
  least: 0,
  run: async (client, given) => {
    const query = { search: given.text("search"), q: given.text("q") };
    const users = await listed<User>(client, given, "/api/v1/users", { query, standard: 200, page_max: 200 });
    printRows(
      given,
      users,
      [
        ["LOGIN", (u) => u.profile["login"]],
        ["NAME", name],
        ["STATUS", (u) => u.status],
        ["DEPARTMENT", (u) => u.profile["department"]],
        ["ID", (u) => u.id],
      ],
      "no people",
    );
  },
};

const show: Part = {
  usage: {
    name: "users show",
    words: "USER",
    summary: "Shows a person, their groups and their accounts. USER is an id or a login.",
    options: {},
  },
  least: 1,
  run: async (client, given, [user = ""]) => {
    const found = await findUser(client, user);
    const groups = await client.all<Group>(`/api/v1/users/${found.id}/groups`);
    const accounts = await client.all<Account>("/admin/v1/accounts", { user_id: found.id, which: "all" });
    const apps = await client.all<App>("/admin/v1/apps");
    const when = await client.get<Dates>(`/admin/v1/users/${found.id}/dates`);
    const sources = new Set(apps.flatMap((app) => (app.sourcing === null ? [] : [app.id])));
    // What a source says of somebody is no account that is kept in step.
    const isSource = (account: Account) => sources.has(account.app_id) && account.scope === null;
    if (given.flag("json")) {
      printJson({ ...found, dates: when, groups, accounts });
      return;
    }
    printFacts(given, found, [
      ["id", found.id],
      ["status", found.status],
      ["created", found.created],
      ...Object.entries(found.profile),
      ...datesOf(when),
      ["groups", groups.map((g) => g.profile.name).join(", ")],
    ]);
    print("");
    printRows(
      given,
      accounts,
      [
        ["APP", (a) => a.app_label],
        ["STATUS", (a) => (isSource(a) ? "source" : a.status)],
        ["SYNC", (a) => (isSource(a) ? (a.have?.enabled ? "works here" : "has left") : a.sync_state)],
        ["BY", (a) => a.scope?.toLowerCase()],
        ["ID IN THE APP", (a) => a.external_id],
        ["FAULT", (a) => a.fault_detail],
      ],
      "no accounts",
    );
  },
};

const change: Part = {
  usage: {
    name: "users set",
    words: "USER NAME=VALUE...",
    summary: "Changes a person's attributes; an empty value clears one.",
    options: {},
  },
  least: 2,
  most: 100,
  run: async (client, given, [user = "", ...pairs]) => {
    const profile = await attributesOf(client, pairs);
    const changed = await client.send<User>("POST", `/api/v1/users/${encode(user)}`, { profile });
    printFacts(given, changed, [["id", changed.id], ["status", changed.status], ...Object.entries(changed.profile)]);
  },
};

const hold: Part = {
  usage: {
    name: "users hold",
    words: "USER REASON",
    summary: "Holds a person's status against every source and the clock.",
    options: { until: { value: "WHEN", help: "End of the hold; without it, until it is lifted" } },
  },
  least: 2,
  run: async (client, given, [user = "", reason = ""]) => {
    const held = await client.send<Record<string, unknown>>("POST", `/admin/v1/users/${encode(user)}/hold`, {
      reason,
      until: momentOf(given, "until") ?? null,
    });
    printFacts(given, held, Object.entries(held));
  },
};

const release: Part = {
  usage: { name: "users unhold", words: "USER", summary: "Lifts a hold.", options: {} },
  least: 1,
  run: async (client, given, [user = ""]) => {
    const lifted = await client.send<Record<string, unknown>>("DELETE", `/admin/v1/users/${encode(user)}/hold`);
    printFacts(given, lifted, [
      ["id", lifted["id"]],
      ["hold", "none"],
    ]);
  },
};

const remove: Part = {
  usage: {
    name: "users delete",
    words: "USER",
    summary: "Deletes a person who is deactivated; anyone else is only deactivated.",
    options: {},
  },
  least: 1,
  run: async (client, given, [user = ""]) => {
    const before = await findUser(client, user);
    await client.send("DELETE", `/api/v1/users/${before.id}`);
    const deleted = before.status === "DEPROVISIONED";
    printFacts(given, { id: before.id, deleted }, [[deleted ? "deleted" : "deactivated", before.profile["login"]]]);
  },
};

/** Life-cycle events that take nothing but the person. */
function event(word: string, summary: string, query: Readonly<Record<string, string>> = {}): Part {
  return {
    usage: { name: `users ${word}`, words: "USER...", summary, options: {} },
    least: 1,
    most: 1_000,
    run: async (client, given, users) => {
      const after: User[] = [];
      for (const user of users) after.push(await happen(client, user, word, query));
      printRows(given, after, [
        ["LOGIN", (u) => u.profile["login"]],
        ["STATUS", (u) => u.status],
        ["ID", (u) => u.id],
      ]);
    },
  };
}

async function happen(
  client: Client,
  user: string,
  word: string,
  query: Readonly<Record<string, string>>,
): Promise<User> {
  const { id } = await findUser(client, user);
  await client.send("POST", `/api/v1/users/${id}/lifecycle/${word}`, undefined, query);
  return findUser(client, id);
}

export const { run } = commandOf("users", {
  list,
  show,
  add,
  set: change,
  dates,
  activate: event("activate", "Activates people.", { sendEmail: "false" }),
  suspend: event("suspend", "Suspends people: they keep what they have and cannot use it."),
  unsuspend: event("unsuspend", "Lifts suspensions."),
  deactivate: event("deactivate", "Deactivates people: their accounts go at once."),
  unlock: event("unlock", "Unlocks people."),
  hold,
  unhold: release,
  delete: remove,
  template,
  import: bring,
  imports,
});
