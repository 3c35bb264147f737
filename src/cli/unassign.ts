/** tenure unassign: takes an app from people or from groups. */
import { countGroup, findApp, findGroup } from "./find.ts";
import { printFacts } from "./output.ts";
import { command, requireYes, yes_option } from "./parts.ts";

type Ended = Readonly<{
  ended: readonly string[];
  by_group: readonly Readonly<{ user_id: string; group_ids: readonly string[] }>[];
}>;

export const { run } = command({
  usage: {
    name: "unassign",
    words: "APP [USER...]",
    summary: "Takes an app from people, or with --group from groups.",
    options: {
      group: { value: "GROUP", many: true, help: "From a group, by name or id; may be given again" },
      reason: { value: "TEXT", help: "Why" },
      ...yes_option,
    },
  },
  least: 1,
  most: 1_000,
  run: async (client, given, [app = "", ...users]) => {
    const { id, label } = await findApp(client, app);
    const groups = await Promise.all(given.texts("group").map((group) => findGroup(client, group)));
    const counts = await Promise.all(groups.map((group) => countGroup(client, group)));
    const people = counts.reduce((sum, count) => sum + count.people, 0);
    const names = groups.map(({ profile }) => profile.name).join(" and ");
    requireYes(given, people, `${names} would give ${label} no more to ${people} people`);
    for (const group of groups) await client.send("DELETE", `/api/v1/apps/${id}/groups/${group.id}`);
    const ended: Ended =
      users.length === 0
        ? { ended: [], by_group: [] }
        : await client.send<Ended>("POST", "/admin/v1/assignments/end", {
            app: id,
            users,
            ...(given.text("reason") === undefined ? {} : { reason: given.text("reason") }),
          });
    const kept = ended.by_group.map(({ user_id, group_ids }) => `${user_id} through ${group_ids.join(", ")}`);
    printFacts(given, ended, [
      ["app", label],
      ["people's own assignments ended", users.length === 0 ? undefined : ended.ended.length],
      ["groups that give it no more", given.texts("group").length || undefined],
      ["still have it", kept.join("; ")],
    ]);
  },
});
