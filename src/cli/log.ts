/** tenure log: what happened, and with --follow what happens. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Given } from "./args.ts";
import type { Client } from "./client.ts";
import { findApp, findUser } from "./find.ts";
import { plain, print } from "./output.ts";
import { command, listed, momentOf } from "./parts.ts";

type Party = Readonly<{ id: string; type: string; displayName: string }>;
type Event = Readonly<{
  uuid: string;
  published: string;
  eventType: string;
  severity: string;
  outcome: Readonly<{ result: string; reason: string | null }>;
  actor: Party;
  target: readonly Party[] | null;
}>;

/** How often to ask for news. */
const poll_ms = 1_000;

export const { run } = command({
  usage: {
    name: "log",
    words: "",
    summary: "Prints the log, the newest last; with --follow, every new event as it happens and none is missed.",
    options: {
      follow: { help: "Go on until interrupted", short: "f" },
      user: { value: "USER", help: "Events about a person" },
      app: { value: "APP", help: "Events about an app" },
      type: { value: "TYPE", help: "Events of this type, or that begin so (user.lifecycle)" },
      filter: { value: "FILTER", help: `As in 'outcome.result eq "FAILURE"'` },
      q: { value: "WORDS", help: "Words that are all in the event" },
      since: { value: "WHEN", help: "From then on (a week ago)" },
      limit: { value: "N", help: "At most this many, the newest (100)" },
    },
  },
  least: 0,
  run: async (client, given) => {
    const query = { filter: await filterOf(client, given), q: given.text("q") };
    const since = momentOf(given, "since");
    if (given.flag("follow"))
      return follow(client, given, { ...query, since: since ?? new Date().toISOString(), limit: 1_000 });
    const newest = { ...query, since, sortOrder: "DESCENDING" };
    const events = await listed<Event>(client, given, "/api/v1/logs", { query: newest, standard: 100 });
    for (const event of events.toReversed()) show(given, event);
  },
});

/** Polls for ever: every answer has a next link, and following it misses nothing. */
async function follow(
  client: Client,
  given: Given,
  query: Readonly<Record<string, string | number | undefined>>,
): Promise<void> {
  let page = await client.page<Event>("/api/v1/logs", query);
  for (;;) {
    for (const event of page.items) show(given, event);
    if (page.items.length < 1_000) await sleep(poll_ms);
    page = await client.page<Event>(page.next ?? "");
  }
}

async function filterOf(client: Client, given: Given): Promise<string | undefined> {
  const [user, app, type, filter] = ["user", "app", "type", "filter"].map((name) => given.text(name));
  const parts = [
    ...(user === undefined ? [] : [`target.id eq "${(await findUser(client, user)).id}"`]),
    ...(app === undefined ? [] : [`target.id eq "${(await findApp(client, app)).id}"`]),
    ...(type === undefined ? [] : [`eventType sw ${JSON.stringify(type)}`]),
    ...(filter === undefined ? [] : [`(${filter})`]),
  ];
  return parts.length === 0 ? undefined : parts.join(" and ");
}

function show(given: Given, event: Event): void {
  if (given.flag("json")) {
    print(JSON.stringify(event));
    return;
  }
  const failed = event.outcome.result === "SUCCESS" ? "" : ` ${event.outcome.result}`;
  const targets = (event.target ?? []).map((target) => plain(target.displayName)).join(", ");
  const reason = event.outcome.reason === null ? "" : `  (${plain(event.outcome.reason)})`;
  print(`${event.published}  ${event.eventType}${failed}  ${targets}  by ${plain(event.actor.displayName)}${reason}`);
}
