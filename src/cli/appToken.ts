/** tenure apps token: the token with which a source sends its people to us. Its text is shown once. */
import type { Client } from "./client.ts";
import { CliError, exit_codes } from "./errors.ts";
import { type App, findApp } from "./find.ts";
import { printFacts } from "./output.ts";
import type { Part } from "./parts.ts";

type Made = Readonly<{ id: string; text: string }>;

/** Makes a token for a source. Those that it has stay until they are revoked. */
export function makeSourceToken(client: Client, { id, label }: Pick<App, "id" | "label">): Promise<Made> {
  return client.send<Made>("POST", "/admin/v1/tokens", { name: label.slice(0, 200), role: `SOURCE:${id}` });
}

/** What whoever sets a source up must enter there, and how its token is ended. */
export const sourceFacts = (client: Client, token: Made, kind: string) =>
  [
    ...(kind === "scim_in" ? [["address", `${client.url}/scim/v2`] as const] : []),
    ["token", token.text],
    ["token id", token.id],
  ] as const;

export const token: Part = {
  usage: {
    name: "apps token",
    words: "APP",
    summary: `Makes one more token for a source that sends its people (scim-in, push); it is shown only now. The old one goes
on until tenure token revoke ID.`,
    options: {},
  },
  least: 1,
  run: async (client, given, [app = ""]) => {
    const found = await findApp(client, app);
    if (found.kind !== "scim_in" && found.kind !== "push") {
      const why = `${found.label} is of kind ${found.kind}: only a source that sends its people (scim-in, push) has tokens`;
      throw new CliError(exit_codes.refused, why);
    }
    const made = await makeSourceToken(client, found);
    printFacts(given, made, [["app", found.label], ...sourceFacts(client, made, found.kind)]);
  },
};
