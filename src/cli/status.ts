/** tenure status: how everything stands. */
import { type Health, shellWord } from "./find.ts";
import { plain, print, printFacts, printJson, printRows } from "./output.ts";
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
  nodes: readonly Readonly<{ id: string; seen_at: string; live: boolean }>[];
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
      ["rows that wait", waitingOf(status)],
      ["engines", status.nodes.map((node) => nodeOf(node, status.now)).join(", ") || "none"],
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
        ["WHY", (q) => q.pause_reason ?? q.import_failed],
      ],
      "no apps",
    );
  },
});

/** The sources of which rows wait for a decision, each with where it is taken. */
const waitingOf = ({ queues }: Status): string =>
  queues
    .filter(({ undecided }) => undecided > 0)
    .map(({ undecided, label }) => `${undecided} of ${plain(label)}: tenure waiting ${shellWord(label)}`)
    .join(", ");

/** A node that was killed is known for a minute: by then its silence tells. */
const nodeOf = ({ id, seen_at, live }: Status["nodes"][number], now: string): string =>
  live ? id : `${id} (silent for ${Math.round((Date.parse(now) - Date.parse(seen_at)) / 1_000)} s)`;
