/** tenure hooks: event hooks, how their deliveries went, and telling them again. */
import type { Client } from "./client.ts";
import { CliError, exit_codes } from "./errors.ts";
import { printFacts, printRows } from "./output.ts";
import { commandOf, listed, type Part, pastOf } from "./parts.ts";

type Hook = Readonly<{
  id: string;
  name: string;
  state: string;
  url: string;
  failing_since: string | null;
  next_attempt_at: string | null;
  delivered_at: string | null;
  error: string | null;
}>;
type Delivery = Readonly<{
  id: string;
  seqs: readonly number[];
  attempt: number;
  outcome: string;
  status: number | null;
  duration_ms: number;
  error: string | null;
  again: boolean;
  started_at: string;
}>;

/** A hook by id or by its whole name. */
async function findHook(client: Client, text: string): Promise<Hook> {
  const hooks = await client.get<Hook[]>("/admin/v1/event-hooks");
  const found = hooks.filter(({ id, name }) => id === text || name === text);
  const [one] = found;
  if (one !== undefined && found.length === 1) return one;
  const why = one === undefined ? "there is no event hook" : "there are several event hooks called";
  throw new CliError(exit_codes.not_found, `${why} "${text}": tenure hooks lists them`);
}

const list: Part = {
  usage: { name: "hooks list", words: "", summary: "Lists event hooks and how they stand.", options: {} },
  least: 0,
  run: async (client, given) => {
    printRows(
      given,
      await client.get<Hook[]>("/admin/v1/event-hooks"),
      [
        ["NAME", (h) => h.name],
        ["STATE", (h) => h.state],
        ["LAST TOLD", (h) => h.delivered_at],
        ["FAILING SINCE", (h) => h.failing_since],
        ["NEXT TRY", (h) => h.next_attempt_at],
        ["ERROR", (h) => h.error],
        ["ID", (h) => h.id],
      ],
      "no event hooks",
    );
  },
};

const deliveries: Part = {
  usage: {
    name: "hooks deliveries",
    words: "HOOK",
    summary: "Lists attempts to tell a hook, the newest first.",
    options: {
      failed: { help: "Only those that failed" },
      limit: { value: "N", help: "At most this many (50)" },
    },
  },
  least: 1,
  run: async (client, given, [text = ""]) => {
    const hook = await findHook(client, text);
    const query = { outcome: given.flag("failed") ? "FAILED" : undefined };
    const path = `/admin/v1/event-hooks/${hook.id}/deliveries`;
    const found = await listed<Delivery>(client, given, path, { query, standard: 50 });
    printRows(
      given,
      found,
      [
        ["WHEN", (d) => d.started_at],
        ["OUTCOME", (d) => d.outcome],
        ["STATUS", (d) => d.status],
        ["MS", (d) => d.duration_ms],
        ["TRY", (d) => d.attempt],
        ["EVENTS", (d) => d.seqs.length],
        ["FROM", (d) => d.seqs[0]],
        ["ID", (d) => d.id],
        ["ERROR", (d) => d.error],
      ],
      "no deliveries",
    );
  },
};

const replay: Part = {
  usage: {
    name: "hooks replay",
    words: "HOOK",
    summary: "Tells a hook again: from an event or a time on, or one delivery.",
    options: {
      seq: { value: "NUMBER", help: "From this event of the log on" },
      from: { value: "WHEN", help: "From this day or time on, or from 90m, 8h, 2d ago on" },
      delivery: { value: "DELIVERY", help: "This delivery, once and now" },
    },
  },
  least: 1,
  run: async (client, given, [text = ""]) => {
    const [seq, from, delivery_id] = [given.text("seq"), pastOf(given, "from"), given.text("delivery")];
    if ([seq, from, delivery_id].filter((one) => one !== undefined).length !== 1) {
      throw new CliError(exit_codes.usage, "tenure hooks replay: say one of --seq, --from and --delivery");
    }
    if (seq !== undefined && !/^[1-9]\d{0,14}$/.test(seq)) {
      throw new CliError(exit_codes.usage, `--seq takes an event's number, not "${seq}"`);
    }
    const hook = await findHook(client, text);
    const done = await client.send<Readonly<Record<string, unknown>>>(
      "POST",
      `/admin/v1/event-hooks/${hook.id}/replay`,
      delivery_id !== undefined ? { delivery_id } : from === undefined ? { from_seq: Number(seq) } : { from },
    );
    printFacts(given, done, [
      ["hook", hook.name],
      ...Object.entries(done).map(([name, value]) => [name, value] as const),
    ]);
  },
};

export const { run } = commandOf("hooks", { list, deliveries, replay }, "list");
