/** tenure token: API tokens. */
import { printFacts, printRows } from "./output.ts";
import { commandOf, momentOf, type Part } from "./parts.ts";

type Token = Readonly<{
  id: string;
  name: string;
  role: string;
  user_id: string | null;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  revoked_at: string | null;
  text?: string;
}>;

const list: Part = {
  usage: { name: "token list", words: "", summary: "Lists tokens, never their text.", options: {} },
  least: 0,
  run: async (client, given) => {
    const tokens = await client.all<Token>("/admin/v1/tokens");
    printRows(
      given,
      tokens,
      [
        ["NAME", (t) => t.name],
        ["ROLE", (t) => t.role],
        ["LAST USED", (t) => t.last_used_at],
        ["ENDS", (t) => (t.revoked_at ? "revoked" : t.expires_at)],
        ["ID", (t) => t.id],
      ],
      "no tokens",
    );
  },
};

const create: Part = {
  usage: {
    name: "token create",
    words: "NAME",
    summary: "Makes a token; its text is shown only now.",
    options: {
      role: {
        value: "ROLE",
        help: "SUPER_ADMIN, ORG_ADMIN, APP_ADMIN, USER_ADMIN, GROUP_MEMBERSHIP_ADMIN, HELP_DESK_ADMIN, READ_ONLY_ADMIN or SOURCE:<app id>",
      },
      user: { value: "USER", help: "Whom it speaks for: it ends with that person" },
      until: { value: "WHEN", help: "Until then only" },
    },
  },
  least: 1,
  run: async (client, given, [name = ""]) => {
    const role = given.text("role");
    const token = await client.send<Token>("POST", "/admin/v1/tokens", {
      name,
      user: given.text("user") ?? null,
      expires_at: momentOf(given, "until") ?? null,
      ...(role === undefined ? {} : { role }),
    });
    printFacts(given, token, [
      ["id", token.id],
      ["role", token.role],
      ["ends", token.expires_at],
      ["token", token.text],
    ]);
  },
};

const revoke: Part = {
  usage: { name: "token revoke", words: "ID", summary: "Ends a token for good.", options: {} },
  least: 1,
  run: async (client, given, [id = ""]) => {
    const token = await client.send<Token>("DELETE", `/admin/v1/tokens/${encodeURIComponent(id)}`);
    printFacts(given, token, [
      ["id", token.id],
      ["name", token.name],
      ["revoked", token.revoked_at],
    ]);
  },
};

export const { run } = commandOf("token", { list, create, revoke }, "list");
