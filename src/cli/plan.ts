/** tenure plan: what would be done for a person now, before it is done. */
import { CliError, exit_codes } from "./errors.ts";
import { plain, print, printJson } from "./output.ts";
import { command } from "./parts.ts";
import { type Preview, printPreview } from "./preview.ts";

type Person = Readonly<{ user_id: string; login: string }>;

export const { run } = command({
  usage: {
    name: "plan",
    words: "[USER]",
    summary: "Shows what would be done for a person now in every app, and why. Nothing is done.",
    options: { user: { value: "USER", help: "Id or login" } },
  },
  least: 0,
  most: 1,
  run: async (client, given, [word]) => {
    const user = word ?? given.text("user");
    if (user === undefined) throw new CliError(exit_codes.usage, "tenure plan: whose? Give a login or an id");
    const preview = await client.send<Preview & Person>("POST", "/admin/v1/plan", { user });
    if (given.flag("json")) {
      printJson(preview);
      return;
    }
    print(`${plain(preview.login)} (${preview.user_id})`);
    printPreview(preview);
  },
});
