/** tenure assign: gives an app to people or to groups. */
import { CliError, exit_codes } from "./errors.ts";
import { findApp, findGroup } from "./find.ts";
import { printFacts } from "./output.ts";
import { command, momentOf, pairsOf } from "./parts.ts";

type Assigned = Readonly<{ began?: readonly string[]; changed?: readonly string[]; groups?: readonly unknown[] }>;

export const { run } = command({
  usage: {
    name: "assign",
    words: "APP [USER...]",
    summary: "Gives an app to people, or with --group to everyone in groups.",
    options: {
      group: { value: "GROUP", many: true, help: "To a group, by name or id; may be given again" },
      until: { value: "WHEN", help: "Until then only: a day, a time, or a length such as 8h or 30d" },
      reason: { value: "TEXT", help: "Why" },
      set: { value: "NAME=VALUE", many: true, help: "A value for the account that beats the mapping" },
    },
  },
  least: 1,
  most: 1_000,
  run: async (client, given, [app = "", ...users]) => {
    if (users.length === 0 && given.texts("group").length === 0)
      throw new CliError(exit_codes.usage, "tenure assign: to whom? Name people, or groups with --group");
    const { id, label } = await findApp(client, app);
    const groups = await Promise.all(given.texts("group").map(async (group) => (await findGroup(client, group)).id));
    const profile = pairsOf(given.texts("set"));
    const outcome = await client.send<Assigned>("POST", "/admin/v1/assignments", {
      app: id,
      ...(users.length > 0 ? { users } : {}),
      ...(groups.length > 0 ? { group_ids: groups } : {}),
      ...(Object.keys(profile).length > 0 ? { profile } : {}),
      reason: given.text("reason") ?? null,
      expires_at: momentOf(given, "until") ?? null,
    });
    printFacts(given, outcome, [
      ["app", label],
      ["people who now have it", outcome.began?.length],
      ["changed", outcome.changed?.length || undefined],
      ["groups that give it", outcome.groups?.length],
    ]);
  },
});
