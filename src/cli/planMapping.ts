/**
 * What a changed mapping would do, as `tenure apps map APP … --plan` shows it: how many accounts, which attributes with
 * samples, the first accounts by name, and what would go wrong. Progress on the error output; Ctrl-C cancels.
 */
import type { Given } from "./args.ts";
import type { Client } from "./client.ts";
import { CliError, exit_codes } from "./errors.ts";
import { plain, print, progress } from "./output.ts";

type Change = Readonly<{ attribute: string; before: unknown; after: unknown }>;
type Account = Readonly<{ login: string; rune: string; step: string; changes: readonly Change[] }>;

/** An app's part of a preview, as the server tells it. */
export type AppPreview = Readonly<{
  app: string;
  accounts: number;
  moved: number;
  steps: Readonly<Record<string, number>>;
  attributes: readonly Readonly<{
    attribute: string;
    accounts: number;
    samples: readonly Readonly<{ login: string; before: unknown; after: unknown }>[];
  }>[];
  first: readonly Account[];
  problems: readonly Readonly<{ attribute: string | null; message: string; accounts: number; login: string }>[];
  read_by: readonly string[];
  notes: readonly string[];
}>;

type Line = Readonly<{
  progress?: { looked: number; accounts: number };
  preview?: { apps: readonly AppPreview[] };
  error?: string;
}>;

/** Asks the server what these lines of an app would do. Nothing is saved. */
export async function previewMapping(client: Client, given: Given, app: string, lines: unknown): Promise<AppPreview> {
  let found: AppPreview | undefined;
  const bar = progress(given);
  await client.follow("/admin/v1/plan/mappings", { changes: [{ app, lines }] }, (line) => {
    const { progress: far, preview, error } = line as Line;
    if (error !== undefined) throw new CliError(exit_codes.failed, error);
    if (far !== undefined) bar.show("accounts", far.looked, far.accounts);
    if (preview !== undefined) [found] = preview.apps;
  });
  bar.end();
  if (found === undefined) throw new CliError(exit_codes.unreachable, "the server broke off: ask again");
  return found;
}

const words: Readonly<Record<string, string>> = {
  create: "made",
  update: "changed",
  enable: "enabled",
  disable: "disabled",
  delete: "deleted",
  none: "as they should be already",
  unsupported: "not possible",
  local: "changed here only",
};

/** Prints a preview for people. */
export function printPreview(preview: AppPreview): void {
  const counts = Object.entries(preview.steps).map(([step, count]) => `${count} ${words[step] ?? step}`);
  print(
    `${plain(preview.app)}: ${preview.moved} of ${preview.accounts} accounts would change${counts.length === 0 ? "" : `: ${counts.join(", ")}`}`,
  );
  for (const note of preview.notes) print(`  note: ${plain(note)}`);
  for (const { attribute, accounts, samples } of preview.attributes) {
    print(`  ${plain(attribute)}: ${accounts}`);
    for (const { login, before, after } of samples)
      print(`      ${shown(before)} -> ${shown(after)}   (${plain(login)})`);
  }
  for (const { attribute, message, accounts, login } of preview.problems) {
    const what = attribute === null ? "" : `${plain(attribute)}: `;
    print(`  problem: ${what}${plain(message)} (${accounts}; the first is ${plain(login)})`);
  }
  if (preview.read_by.length > 0)
    print(`  then computed again, because they read these accounts: ${preview.read_by.map(plain).join(", ")}`);
  if (preview.first.length > 0) print("  the first:");
  for (const { rune, login, changes } of preview.first)
    print(`    ${rune} ${plain(login)}  ${changes.map((change) => plain(change.attribute)).join(", ")}`);
  print("Nothing has been saved.");
}

const shown = (value: unknown) => (value === null || value === undefined ? "nothing" : plain(value));
