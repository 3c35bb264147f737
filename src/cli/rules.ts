/** tenure rules: conditions that fill groups. */
import type { Given } from "./args.ts";
import type { Client } from "./client.ts";
import { CliError, exit_codes } from "./errors.ts";
import { findGroup, findRule, findUser, type Group, type Rule } from "./find.ts";
import { printFacts, printRows } from "./output.ts";
import { commandOf, type Part, required, requireYes, yes_option } from "./parts.ts";

type Preview = Readonly<{
  matching: number;
  joining: number;
  joining_logins: readonly string[];
  leaving: number;
  leaving_logins: readonly string[];
}>;

const condition = {
  if: { value: "EXPRESSION", help: `As in 'user.department == "Sales"'` },
  group: { value: "GROUP", many: true, help: "A group to fill, by name or id; may be given again" },
};

/** Ids of the groups that an option names. */
const groupsOf = (client: Client, given: Given, option: string): Promise<string[]> =>
  Promise.all(given.texts(option).map(async (group) => (await findGroup(client, group)).id));
/** Ids of the people whom an option names. */
const peopleOf = (client: Client, given: Given, option: string): Promise<string[]> =>
  Promise.all(
    given.texts(option).map(async (user) => {
      if (user.trim() === "") throw new CliError(exit_codes.usage, `--${option} takes a login or an id, not nothing`);
      return (await findUser(client, user)).id;
    }),
  );

const list: Part = {
  usage: { name: "rules list", words: "", summary: "Lists group rules.", options: {} },
  least: 0,
  run: async (client, given) => {
    const rules = await client.all<Rule>("/api/v1/groups/rules", { limit: 200 });
    printRows(
      given,
      rules,
      [
        ["NAME", (r) => r.name],
        ["STATUS", (r) => r.status],
        ["IF", (r) => r.conditions.expression.value],
        ["GROUPS", (r) => r.actions.assignUserToGroups.groupIds.length],
        ["ID", (r) => r.id],
      ],
      "no rules",
    );
  },
};

const add: Part = {
  usage: {
    name: "rules add",
    words: "NAME",
    summary: "Creates a rule and lets it act.",
    options: { ...condition, inactive: { help: "Do not let it act yet" } },
  },
  least: 1,
  run: async (client, given, [name = ""]) => {
    for (const option of ["if", "group"]) required(add.usage, given, option);
    const groupIds = await groupsOf(client, given, "group");
    const rule = await client.send<Rule>("POST", "/api/v1/groups/rules", {
      type: "group_rule",
      name,
      conditions: { expression: { value: given.text("if") ?? "", type: "urn:okta:expression:1.0" } },
      actions: { assignUserToGroups: { groupIds } },
    });
    if (!given.flag("inactive")) await client.send("POST", `/api/v1/groups/rules/${rule.id}/lifecycle/activate`);
    const after = await client.get<Rule>(`/api/v1/groups/rules/${rule.id}`);
    printFacts(given, after, [
      ["id", after.id],
      ["name", after.name],
      ["status", after.status],
    ]);
  },
};

const preview: Part = {
  usage: {
    name: "rules preview",
    words: "",
    summary: "Says who would join and who would leave by a rule, without keeping it.",
    options: { ...condition, rule: { value: "RULE", help: "The rule that it would replace" } },
  },
  least: 0,
  run: async (client, given) => {
    required(preview.usage, given, "if");
    const rule = given.text("rule");
    const group_ids = await groupsOf(client, given, "group");
    const rule_id = rule === undefined ? null : (await findRule(client, rule)).id;
    const found = await client.send<Preview>("POST", "/admin/v1/rules/preview", {
      rule_id,
      expression: given.text("if") ?? "",
      group_ids,
    });
    printFacts(given, found, [
      ["matching", found.matching],
      ["would join", found.joining],
      ["first of them", found.joining_logins.join(", ")],
      ["would leave", found.leaving],
      ["first of these", found.leaving_logins.join(", ")],
    ]);
  },
};

/** As many names as one reads; of more it is said how many. */
const names_max = 20;

/** What a rule is, in words. */
async function tell(client: Client, given: Given, rule: Rule): Promise<void> {
  const { groupIds } = rule.actions.assignUserToGroups;
  const { exclude } = rule.conditions.people.users;
  const named = async (ids: readonly string[], name: (id: string) => Promise<string>) => {
    const names = await Promise.all(ids.slice(0, names_max).map(name));
    return ids.length > names_max ? `${names.join(", ")} and ${ids.length - names_max} more` : names.join(", ");
  };
  printFacts(given, rule, [
    ["id", rule.id],
    ["name", rule.name],
    ["status", rule.status],
    ["if", rule.conditions.expression.value],
    ["groups", await named(groupIds, (id) => groupName(client, id))],
    ["leaves alone", await named(exclude, async (id) => String((await findUser(client, id)).profile["login"]))],
  ]);
}

/** A group that was deleted leaves its rule without it: that is what one looks for. */
async function groupName(client: Client, id: string): Promise<string> {
  try {
    return (await client.get<Group>(`/api/v1/groups/${id}`)).profile.name;
  } catch (error) {
    if (error instanceof CliError && error.status === 404) return `${id} (deleted)`;
    throw error;
  }
}

const show: Part = {
  usage: { name: "rules show", words: "RULE", summary: "Shows a rule, and whom it leaves alone.", options: {} },
  least: 1,
  run: async (client, given, [text = ""]) => tell(client, given, await findRule(client, text)),
};

const change: Part = {
  usage: {
    name: "rules change",
    words: "RULE",
    summary: "Changes a rule, active or not; what is not given stays as it is.",
    options: {
      ...{ name: { value: "NAME", help: "What it is called from now on" }, if: condition.if },
      group: {
        value: "GROUP",
        many: true,
        help: "A group to fill, instead of those that it fills; may be given again",
      },
      except: { value: "PERSON", many: true, help: "Whom it is to leave alone; may be given again" },
      include: { value: "PERSON", many: true, help: "Whom it is not to leave alone any more; may be given again" },
      ...yes_option,
    },
  },
  least: 1,
  run: async (client, given, [text = ""]) => {
    if (["name", "if", "group", "except", "include"].every((option) => given.texts(option).length === 0)) {
      const what = "say what is to change: --name, --if, --group, --except or --include";
      throw new CliError(exit_codes.usage, `tenure rules change: ${what}`);
    }
    const rule = await findRule(client, text);
    const { expression, people } = rule.conditions;
    const value = given.text("if") ?? expression.value;
    const groups = await groupsOf(client, given, "group");
    const groupIds = groups.length > 0 ? groups : rule.actions.assignUserToGroups.groupIds;
    const exclude = await exceptionsAfter(client, given, people.users.exclude);
    // Nobody leaves by a name, or because they are not left alone any more.
    const takes = ["if", "group", "except"].some((option) => given.texts(option).length > 0);
    if (takes && rule.status === "ACTIVE" && !given.flag("yes")) {
      const leaving = await leavingBy(client, { rule_id: rule.id, expression: value, group_ids: groupIds, exclude });
      requireYes(given, leaving, `${leaving} people would leave the groups that ${rule.name} put them in`);
    }
    const after = await client.send<Rule>("PUT", `/api/v1/groups/rules/${rule.id}`, {
      type: "group_rule",
      name: given.text("name") ?? rule.name,
      conditions: { people: { users: { exclude } }, expression: { value, type: "urn:okta:expression:1.0" } },
      actions: { assignUserToGroups: { groupIds } },
    });
    await tell(client, given, after);
  },
};

/** Whom a rule leaves alone when it is changed. @throws CliError for somebody who is to be left alone and not to be. */
async function exceptionsAfter(client: Client, given: Given, before: readonly string[]): Promise<string[]> {
  const [except, include] = [await peopleOf(client, given, "except"), await peopleOf(client, given, "include")];
  if (except.some((id) => include.includes(id)))
    throw new CliError(exit_codes.usage, "the same person is given to --except and to --include");
  return [...new Set([...before, ...except])].filter((id) => !include.includes(id));
}

/** How many would leave by a rule. @throws CliError where only people one by one can be judged, with how to go on. */
async function leavingBy(client: Client, input: object): Promise<number> {
  try {
    return (await client.send<Preview>("POST", "/admin/v1/rules/preview", input)).leaving;
  } catch (error) {
    if (!(error instanceof CliError) || !error.message.includes("person by person")) throw error;
    const { exit_code, message, status, code } = error;
    throw new CliError(exit_code, `${message}. Nothing was done: say --yes to change it all the same`, status, code);
  }
}

function turn(word: "activate" | "deactivate", summary: string): Part {
  return {
    usage: { name: `rules ${word}`, words: "RULE", summary, options: {} },
    least: 1,
    run: async (client, given, [text = ""]) => {
      const rule = await findRule(client, text);
      await client.send("POST", `/api/v1/groups/rules/${rule.id}/lifecycle/${word}`);
      const after = await client.get<Rule>(`/api/v1/groups/rules/${rule.id}`);
      printFacts(given, after, [
        ["name", after.name],
        ["status", after.status],
      ]);
    },
  };
}

const remove: Part = {
  usage: {
    name: "rules delete",
    words: "RULE",
    summary: "Deletes a rule.",
    options: { "remove-users": { help: "Also end the memberships that it gave" }, ...yes_option },
  },
  least: 1,
  run: async (client, given, [text = ""]) => {
    const rule = await findRule(client, text);
    if (given.flag("remove-users")) {
      const preview = { rule_id: rule.id, expression: "false", group_ids: rule.actions.assignUserToGroups.groupIds };
      const { leaving } = await client.send<Preview>("POST", "/admin/v1/rules/preview", preview);
      requireYes(given, leaving, `${leaving} people would leave the groups that ${rule.name} put them in`);
    }
    await client.send("DELETE", `/api/v1/groups/rules/${rule.id}`, undefined, {
      removeUsers: given.flag("remove-users"),
    });
    printFacts(given, { id: rule.id, deleted: true }, [["deleted", rule.name]]);
  },
};

export const { run } = commandOf(
  "rules",
  {
    list,
    show,
    add,
    preview,
    change,
    activate: turn("activate", "Lets a rule act."),
    deactivate: turn("deactivate", "Stops a rule; who it put in groups stays."),
    delete: remove,
  },
  "list",
);
