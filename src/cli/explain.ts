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
  reads: readonly Origin[];
}>;

/** Where a value of the person came from. */
type Origin = Readonly<{
  attribute: string;
  value: unknown;
  source: string;
  external_id: string | null;
  by: string | null;
  at: string | null;
}>;

/** What an app that is a source has of the person. */
type Source = Readonly<{
  external_id: string | null;
  row: Readonly<Record<string, unknown>> | null;
  decides: boolean;
  decided_by: string | null;
  attributes: readonly Readonly<{
    attribute: string;
    value: unknown;
    expression: string | null;
    at_creation: boolean;
    reads: Readonly<Record<string, unknown>>;
    wins: boolean;
    given: Origin;
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
  source: Source | null;
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
      "Says why a person's account in an app is as it is: who gives it, where each value comes from, what was done last. Of a source: what its row says, which values of the person come from it, and who gave the others.",
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
    if (found.account !== null) printAccount(found);
    else print(found.source === null ? "  has no account there, and none is wanted" : "  has no row there");
    for (const reason of found.why) print(`  has it because of ${wordsOf(reason)}`);
    if (found.source !== null) printSource(found.source, found.app.label, attribute === undefined);
    // What a source says of itself is its row.
    const managed = found.attributes.filter(({ from }) => found.source === null || from !== "unmanaged");
    for (const one of managed) printAttribute(one);
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

const value = (v: unknown) => (v === null || v === undefined ? "nothing" : plain(v));

function printSource(source: Source, label: string, whole: boolean): void {
  const decides = source.decided_by === null ? "no source decides about this person" : `${source.decided_by} decides`;
  print(
    source.decides
      ? `  is the source that decides: ${plain(label)}`
      : `  is not the source that decides: ${plain(decides)}`,
  );
  const row = Object.entries(source.row ?? {}).filter(([, said]) => said !== null && said !== "");
  if (whole && row.length > 0) print("  its row says:");
  for (const [column, said] of whole ? row : []) print(`    ${plain(column)} = ${value(said)}`);
  if (source.attributes.length > 0) print("  values of the person, and who gave them:");
  for (const one of source.attributes) {
    print(`    ${plain(one.attribute)}: ${value(one.value)}   <- ${originOf(one.given)}`);
    if (one.expression === null) print(`      ${plain(label)} does not give it: its mapping has no line for it`);
    else {
      const when = one.at_creation ? " (only to whom an import makes)" : "";
      const read = Object.entries(one.reads).map(([column, said]) => `${plain(column)} = ${value(said)}`);
      const said = source.row === null || read.length === 0 ? "" : `; its row says ${read.join(", ")}`;
      print(`      by ${plain(label)} as ${plain(one.expression)}${when}${said}`);
    }
  }
}

function originOf(origin: Origin): string {
  const row = origin.external_id === null ? "" : ` row ${plain(origin.external_id)}`;
  const who = origin.by === null ? "" : ` by ${plain(origin.by)} at ${origin.at}`;
  return `${plain(origin.source)}${row}${who}`;
}

function printAttribute(one: Attribute): void {
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
  for (const origin of one.reads)
    print(`      user.${plain(origin.attribute)} = ${value(origin.value)}   <- ${originOf(origin)}`);
}

function told(detail: Readonly<Record<string, unknown>>): string {
  const message = detail["message"] ?? detail["reason"];
  return message === undefined ? "" : `: ${plain(message)}`;
}
