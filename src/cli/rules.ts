/** tenure rules: conditions that fill groups. */
import { findGroup, findRule, type Rule } from "./find.ts";
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
    const groupIds = await Promise.all(given.texts("group").map(async (group) => (await findGroup(client, group)).id));
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
    const group_ids = await Promise.all(given.texts("group").map(async (group) => (await findGroup(client, group)).id));
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
    add,
    preview,
    activate: turn("activate", "Lets a rule act."),
    deactivate: turn("deactivate", "Stops a rule; who it put in groups stays."),
    delete: remove,
  },
  "list",
);
