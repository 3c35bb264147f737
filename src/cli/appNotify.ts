/** tenure apps notify: where a source tells that somebody has changed, with which secret, and who waits to be read. */
import type { Client } from "./client.ts";
import { CliError, exit_codes } from "./errors.ts";
import { type App, findApp } from "./find.ts";
import { plain, printFacts } from "./output.ts";
import type { Part } from "./parts.ts";

type Made = Readonly<{ address: string; secret: string }>;
type State = Readonly<{
  address: string;
  secret: boolean;
  waiting: number;
  failing: number;
  oldest_at: string | null;
  next_at: string | null;
  problem: string | null;
}>;

export const notify: Part = {
  usage: {
    name: "apps notify",
    words: "APP",
    summary: `Shows where a source may tell that people have changed there, and how many of them wait to be read. The source sends
{"ids": ["17"]} with the secret as a bearer token, or signed (docs/notifications.md); set source.notify_id where its own
notifications have the id elsewhere.`,
    options: {
      secret: { help: "Make its secret, shown only now; the old one ends" },
      revoke: { help: "End the secret: no notification is taken any more" },
    },
  },
  least: 1,
  run: async (client, given, [app = ""]) => {
    if (given.flag("secret") && given.flag("revoke")) {
      throw new CliError(exit_codes.usage, "tenure apps notify: --secret makes one, --revoke ends it: say which");
    }
    const found = await findApp(client, app);
    const path = `/admin/v1/apps/${found.id}/notifications`;
    if (given.flag("secret")) {
      const made = await client.send<Made>("POST", `${path}/secret`);
      printFacts(given, made, [
        ["app", found.label],
        ["address", addressOf(client, found)],
        ["secret", made.secret],
      ]);
      return;
    }
    if (given.flag("revoke")) await client.send("DELETE", `${path}/secret`);
    const state = await client.get<State>(path);
    printFacts(given, state, [
      ["app", found.label],
      ["address", addressOf(client, found)],
      ["secret", state.secret ? "is set" : "none: tenure apps notify APP --secret makes one"],
      ["waiting", state.waiting],
      ["failing", state.failing],
      ...(state.oldest_at === null ? [] : [["oldest", state.oldest_at] as const]),
      ...(state.next_at === null ? [] : [["next", state.next_at] as const]),
      ...(state.problem === null ? [] : [["problem", plain(state.problem)] as const]),
    ]);
  },
};

const addressOf = (client: Client, { id }: Pick<App, "id">) => `${client.url}/sources/${id}/notify`;
