/** tenure explain: why an account is as it is, from the source's row or the rule to the account's value and the last calls. */
import { plain, print, printJson } from "./output.ts";
import { command } from "./parts.ts";
import { type Reason, wordsOf } from "./why.ts";

type Attribute = Readonly<{
  attribute: string;
  want: unknown;
  have: unknown;
  in_step: boolean;
  from: "assignment" | "mapping" | "kept" | "unmanaged";
  expression: string | null;
  reads: readonly Readonly<{
    attribute: string;
    value: unknown;
    source: string;
    external_id: string | null;
    by: string | null;
    at: string | null;
  }>[];
}>;

/** What GET /admin/v1/explain gives. */
type Told = Readonly<{
  user: Readonly<{ login: string; status: string }>;
  app: Readonly<{ label: string }>;
  account: Readonly<{
    external_id: string | null;
    enabled: boolean | null;
    synced_at: string | null;
    error: string | null;
  }> | null;
  why: readonly Reason[];
  attributes: readonly Attribute[];
  operations: readonly Readonly<{
    step: string;
    outcome: string;
    fault: string | null;
    detail: Readonly<Record<string, unknown>>;
    finished_at: string;
  }>[];
  chain: readonly Readonly<{
    at: string;
    type: string;
    actor: string;
    targets: readonly string[];
    reason: string | null;
  }>[];
}>;

export const { run } = command({
  usage: {
    name: "explain",
    words: "USER APP [ATTRIBUTE]",
    summary:
      "Says why a person's account in an app is as it is: who gives it, where each value comes from, what was done last.",
    options: {},
  },
  least: 2,
  most: 3,
  run: async (client, given, [user = "", app = "", attribute]) => {
    const found = await client.get<Told>("/admin/v1/explain", { user, app, attribute });
    if (given.flag("json")) {
      printJson(found);
      return;
    }
    print(`${plain(found.user.login)} (${found.user.status}) in ${plain(found.app.label)}`);
    if (found.account === null) print("  has no account there, and none is wanted");
    else printAccount(found);
    for (const reason of found.why) print(`  has it because of ${wordsOf(reason)}`);
    for (const one of found.attributes) printAttribute(one);
    if (found.operations.length > 0) print("  last calls:");
    for (const one of found.operations)
      print(
        `    ${one.finished_at}  ${one.step} ${one.outcome}${one.fault === null ? "" : ` (${one.fault})`}${told(one.detail)}`,
      );
    if (found.chain.length > 0) print("  caused by:");
    for (const event of found.chain)
      print(
        `    ${event.at}  ${event.type} by ${plain(event.actor)}: ${event.targets.map(plain).join(", ")}${event.reason === null ? "" : ` (${plain(event.reason)})`}`,
      );
  },
});

function printAccount({ account }: Told): void {
  if (account === null) return;
  const state = account.enabled === null ? "not seen there yet" : account.enabled ? "enabled" : "disabled";
  print(
    `  account ${plain(account.external_id ?? "(no id yet)")}: ${state}${account.synced_at === null ? "" : `, looked at ${account.synced_at}`}`,
  );
  if (account.error !== null) print(`  the app said: ${plain(account.error)}`);
}

function printAttribute(one: Attribute): void {
  const value = (v: unknown) => (v === null || v === undefined ? "nothing" : plain(v));
  const state = one.in_step ? value(one.have) : `should be ${value(one.want)}, is ${value(one.have)}`;
  const by =
    one.expression === null
      ? {
          assignment: "given with the assignment",
          kept: "as first assigned",
          unmanaged: "not managed here",
          mapping: "",
        }[one.from]
      : plain(one.expression);
  print(`  ${plain(one.attribute)}: ${state}   <- ${by}`);
  for (const origin of one.reads) {
    const row = origin.external_id === null ? "" : ` row ${plain(origin.external_id)}`;
    const who = origin.by === null ? "" : ` by ${plain(origin.by)} at ${origin.at}`;
    print(`      user.${plain(origin.attribute)} = ${value(origin.value)}   <- ${plain(origin.source)}${row}${who}`);
  }
}

function told(detail: Readonly<Record<string, unknown>>): string {
  const message = detail["message"] ?? detail["reason"];
  return message === undefined ? "" : `: ${plain(message)}`;
}
