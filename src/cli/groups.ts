/** tenure groups: groups and who is in them. */
import { type CountedGroup, countGroup, findGroup, findUser, type Group, type User } from "./find.ts";
import { bring, imports } from "./groupsImport.ts";
import { printFacts, printRows } from "./output.ts";
import { commandOf, listed, momentOf, type Part, pairsOf, requireYes, yes_option } from "./parts.ts";

type Grant = Readonly<{
  kind: string;
  name: string;
  reason: string | null;
  created_at: string;
  expires_at: string | null;
}>;

const list: Part = {
  usage: {
    name: "groups list",
    words: "",
    summary: "Lists groups.",
    options: {
      q: { value: "TEXT", help: "Start of the name" },
      search: { value: "FILTER", help: `As in 'type eq "OKTA_GROUP"'` },
    },
  },
  least: 0,
  run: async (client, given) => {
    const groups = await client.all<CountedGroup>("/api/v1/groups", {
      q: given.text("q"),
      search: given.text("search"),
      expand: "stats",
      limit: 1_000,
    });
    printRows(
      given,
      groups,
      [
        ["NAME", (g) => g.profile.name],
        ["TYPE", (g) => g.type],
        ["PEOPLE", (g) => g._embedded?.stats?.usersCount],
        ["APPS", (g) => g._embedded?.stats?.appsCount],
        ["ID", (g) => g.id],
      ],
      "no groups",
    );
  },
};

const members: Part = {
  usage: {
    name: "groups members",
    words: "GROUP",
    summary: "Lists who is in a group. GROUP is an id or a name.",
    options: { limit: { value: "N", help: "At most this many (1000)" } },
  },
  least: 1,
  run: async (client, given, [group = ""]) => {
    const { id } = await findGroup(client, group);
    const users = await listed<User>(client, given, `/api/v1/groups/${id}/users`, { standard: 1_000 });
    printRows(
      given,
      users,
      [
        ["LOGIN", (u) => u.profile["login"]],
        ["STATUS", (u) => u.status],
        ["ID", (u) => u.id],
      ],
      "nobody",
    );
  },
};

const add: Part = {
  usage: {
    name: "groups add",
    words: "NAME",
    summary: "Creates a group.",
    options: {
      description: { value: "TEXT", help: "What it is for" },
      set: { value: "NAME=VALUE", many: true, help: "An attribute of the group" },
    },
  },
  least: 1,
  run: async (client, given, [name = ""]) => {
    const description = given.text("description");
    const group = await client.send<Group>("POST", "/api/v1/groups", {
      profile: { name, ...(description === undefined ? {} : { description }), ...pairsOf(given.texts("set")) },
    });
    printFacts(given, group, [
      ["id", group.id],
      ["name", group.profile.name],
    ]);
  },
};

const join: Part = {
  usage: {
    name: "groups join",
    words: "GROUP USER...",
    summary: "Puts people in a group.",
    options: { until: { value: "WHEN", help: "Until then only" }, reason: { value: "TEXT", help: "Why" } },
  },
  least: 2,
  most: 1_000,
  run: async (client, given, [group = "", ...users]) => {
    const { id } = await findGroup(client, group);
    const outcome = await client.send<{ began: unknown[] }>("POST", "/admin/v1/memberships", {
      group_id: id,
      users,
      reason: given.text("reason") ?? null,
      expires_at: momentOf(given, "until") ?? null,
    });
    printFacts(given, outcome, [
      ["joined", outcome.began.length],
      ["were in it before", users.length - outcome.began.length],
    ]);
  },
};

const leave: Part = {
  usage: {
    name: "groups leave",
    words: "GROUP USER...",
    summary: "Takes people out of a group, whoever put them there; rules leave them out from now on.",
    options: { reason: { value: "TEXT", help: "Why" } },
  },
  least: 2,
  most: 1_000,
  run: async (client, given, [group = "", ...users]) => {
    const { id } = await findGroup(client, group);
    const outcome = await client.send<{ ended: unknown[]; excluded: unknown[] }>("POST", "/admin/v1/memberships/end", {
      group_id: id,
      users,
      reason: given.text("reason") ?? null,
    });
    printFacts(given, outcome, [
      ["left", outcome.ended.length],
      ["rule exceptions made", outcome.excluded.length],
    ]);
  },
};

const why: Part = {
  usage: { name: "groups why", words: "GROUP USER", summary: "Says who or what put a person in a group.", options: {} },
  least: 2,
  run: async (client, given, [group = "", user = ""]) => {
    const { id } = await findGroup(client, group);
    const person = await findUser(client, user);
    const grants = await client.get<Grant[]>("/admin/v1/memberships/why", { group_id: id, user: person.id });
    printRows(
      given,
      grants,
      [
        ["BY", (g) => g.kind],
        ["WHO OR WHAT", (g) => g.name],
        ["SINCE", (g) => g.created_at],
        ["UNTIL", (g) => g.expires_at],
        ["REASON", (g) => g.reason],
      ],
      "not in the group by any grant",
    );
  },
};

const remove: Part = {
  usage: { name: "groups delete", words: "GROUP", summary: "Deletes a group.", options: yes_option },
  least: 1,
  run: async (client, given, [group = ""]) => {
    const found = await findGroup(client, group);
    const { people, apps } = await countGroup(client, found);
    requireYes(given, people, `${people} people would leave ${found.profile.name}, which gives ${apps} apps`);
    await client.send("DELETE", `/api/v1/groups/${found.id}`);
    printFacts(given, { id: found.id, deleted: true }, [["deleted", found.profile.name]]);
  },
};

export const { run } = commandOf(
  "groups",
  { list, members, add, join, leave, why, delete: remove, import: bring, imports },
  "list",
);
