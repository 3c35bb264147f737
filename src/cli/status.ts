/** tenure status: how everything stands. */
import type { Health } from "./find.ts";
import { print, printFacts, printJson, printRows } from "./output.ts";
import { command } from "./parts.ts";

type Status = Readonly<{
  now: string;
  users: Readonly<Record<string, number>>;
  groups: number;
  rules: number;
  apps: number;
  accounts: number;
  dirty: number;
  tasks: number;
  nodes: readonly Readonly<{ id: string }>[];
  queues: readonly (Health & { label: string })[];
}>;

export const { run } = command({
  usage: {
    name: "status",
    words: "",
    summary: "Shows how everything stands: people, apps, queues, tasks, nodes.",
    options: {},
  },
  least: 0,
  run: async (client, given) => {
    const status = await client.get<Status>("/admin/v1/status");
    if (given.flag("json")) {
      printJson(status);
      return;
    }
    const people = Object.entries(status.users).map(([name, count]) => `${count} ${name}`);
    printFacts(given, status, [
      ["server", client.url],
      ["time there", status.now],
      ["people", people.join(", ") || "none"],
      ["groups", status.groups],
      ["active rules", status.rules],
      ["accounts assigned", status.accounts],
      ["people to compute again", status.dirty],
      ["open tasks", status.tasks],
      ["engines", status.nodes.map(({ id }) => id).join(", ") || "none"],
    ]);
    print("");
    printRows(
      given,
      status.queues,
      [
        ["APP", (q) => q.label],
        ["STATE", (q) => q.state],
        ["DUE", (q) => q.due],
        ["FAILED", (q) => q.faulted],
        ["FOR A PERSON", (q) => q.parked],
        ["OLDEST DUE", (q) => q.oldest_due_at],
        ["WHY", (q) => q.pause_reason],
      ],
      "no apps",
    );
  },
});
