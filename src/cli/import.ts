/** tenure import: reads a source now, from where it is configured or from a file given here, and tells what became of it. */
import { existsSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Given } from "./args.ts";
import type { Client } from "./client.ts";
import { CliError, type ExitCode, exit_codes } from "./errors.ts";
import { requirePlainFile } from "./files.ts";
import { findApp } from "./find.ts";
import { countsText, plain, print, printFacts, printJson, progress, table } from "./output.ts";
import { command } from "./parts.ts";
import { cutOffEarly, sending } from "./upload.ts";

/** What began it: the clock, the source itself, else whoever `started_by` names. `people`: whom it is about, if not about all. */
type Beginning = { scheduled?: boolean; told?: boolean; people?: readonly string[] };
/** What became of a held one; `ended_as`: the import that did its work. */
type Ending = { ended?: string; ended_by?: string; ended_as?: string };

/** An import as the API gives it. */
export type Import = Readonly<{
  id: string;
  label: string;
  status: "RUNNING" | "HELD" | "DONE" | "FAILED" | "CANCELLED";
  mode: string;
  dry_run: boolean;
  counts: Readonly<Record<string, number>>;
  /**
   * Of an incremental one: `since_at`, only what changed since then was asked for; `whole`: why everything was. Of a dry
   * run: `would_be_held`, by the guard.
   */
  detail: Readonly<
    { reason?: string; complete?: boolean; since_at?: string; whole?: string; would_be_held?: boolean } & Beginning &
      Ending
  >;
  started_by: string | null;
  started_at: string;
  finished_at: string | null;
  progress: Readonly<{ phase: string; done: number; total: number | null }> | null;
}>;
/** What became of a row. */
export type Row = Readonly<{
  line: number;
  external_id: string | null;
  outcome: string;
  login: string | null;
  /** `user`: whom a dry run would make; `changes`: what it would change. */
  detail: Readonly<{
    place?: string;
    reason?: string;
    cut_off?: string;
    user?: Readonly<Record<string, unknown>>;
    changes?: Readonly<Record<string, Readonly<{ before: unknown; after: unknown }>>>;
  }> | null;
}>;

const rows_shown = 50;

export const { run } = command({
  usage: {
    name: "import",
    words: "APP [FILE.csv]",
    summary: `Imports people from a source app; with FILE the rows are read from that file instead of where the app is
configured to look. Prints what became of the rows and each row that was refused. Exit code 7: done, but rows were
refused; 4: held by the guard, see --release and --discard. With --person only that person is asked for.`,
    options: {
      "dry-run": { help: "Decide everything, apply nothing" },
      person: {
        value: "ID_OR_LOGIN",
        help: "Only this person: the id in the source, or login or number of somebody who is there",
      },
      incremental: { help: "Who is missing has not left; only what changed is asked for, where the source can say" },
      watch: { help: "Import again whenever the file changes, until interrupted" },
      release: { value: "IMPORT", help: "Let a held import pass: what it shows is applied; with --count" },
      count: { value: "N", help: "How many people the held import is about, as its reason says" },
      cancel: { value: "IMPORT", help: "Stop a running import; what it has applied stays" },
      discard: { value: "IMPORT", help: "Do not apply a held import" },
      rows: { help: "Print every row that changes something" },
    },
  },
  least: 0,
  most: 2,
  run: async (client, given, [app, file]) => {
    const [release, discard] = [given.text("release"), given.text("discard")];
    if (release !== undefined) {
      const path = `/admin/v1/imports/${encodeURIComponent(release)}/release`;
      return follow(client, given, await client.send<Import>("POST", path, { count: countOf(given) }));
    }
    if (discard !== undefined) {
      const ended = await client.send<Import>("POST", `/admin/v1/imports/${encodeURIComponent(discard)}/discard`);
      printFacts(given, ended, [
        ["import", ended.id],
        ["status", ended.status],
      ]);
      return exit_codes.done;
    }
    const cancel = given.text("cancel");
    if (cancel !== undefined) {
      const path = `/admin/v1/imports/${encodeURIComponent(cancel)}/cancel`;
      return follow(client, given, await client.send<Import>("POST", path), "CANCELLED");
    }
    if (app === undefined) throw new CliError(exit_codes.usage, "tenure import: which app? See tenure import --help");
    // A file that is watched may come later.
    if (file !== undefined && (existsSync(file) || !given.flag("watch"))) requirePlainFile(file);
    const { id } = await findApp(client, app);
    if (!given.flag("watch")) return importOnce(client, given, id, file);
    if (file === undefined) throw new CliError(exit_codes.usage, "tenure import --watch needs a file to watch");
    return watch(client, given, id, file);
  },
});

function countOf(given: Given): number {
  const text = given.text("count") ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CliError(
    exit_codes.usage,
    "tenure import --release needs --count N: how many people the held import is about",
  );
}

async function importOnce(client: Client, given: Given, app_id: string, file: string | undefined): Promise<ExitCode> {
  const person = given.text("person");
  const query = {
    ...{ mode: given.flag("incremental") ? "incremental" : "full", dry_run: given.flag("dry-run") },
    ...(person === undefined ? {} : { person }),
  };
  const path = `/admin/v1/apps/${app_id}/imports`;
  const starting =
    file === undefined ? client.send<Import>("POST", path, undefined, query) : upload(client, given, path, file, query);
  const started = await starting.catch((error: unknown) => {
    throw cutOffEarly(error);
  });
  return follow(client, given, started);
}

async function upload(
  client: Client,
  given: Given,
  path: string,
  file: string,
  query: Readonly<Record<string, string | boolean>>,
): Promise<Import> {
  return sending(given, file, ({ stream, size }) => client.upload<Import>(path, stream, size, query));
}

/** Waits for the end of an import and tells it. */
async function follow(
  client: Client,
  given: Given,
  started: Import,
  wanted: Import["status"] = "DONE",
): Promise<ExitCode> {
  const bar = progress(given);
  let now = started;
  for (let wait_ms = 50; now.status === "RUNNING"; wait_ms = Math.min(1_000, wait_ms * 1.5)) {
    if (now.progress) bar.show(now.progress.phase, now.progress.done, now.progress.total);
    await sleep(wait_ms);
    now = await client.get<Import>(`/admin/v1/imports/${started.id}`).catch((error: Error) => {
      bar.end();
      throw cutOff(error, now);
    });
  }
  bar.end();
  // Whoever is to decide about a held import must see whom it is about.
  const chosen = isHeld(now) ? { loses: true } : { outcome: "refused" };
  // Of one person there is one row, whatever became of it.
  const every = given.flag("rows") || given.text("person") !== undefined;
  const rows = await client.all<Row>(
    `/admin/v1/imports/${now.id}/rows`,
    { ...(every ? {} : chosen), limit: 1_000 },
    every ? 1_000_000 : rows_shown,
  );
  if (given.flag("json")) printJson({ ...now, rows });
  else tell(now, rows);
  return now.status === wanted ? exitOf({ ...now, status: "DONE" }) : exitOf(now);
}

/** A server that went away in the middle: which import it was, how far, and what to do. */
function cutOff(error: Error, { id, label, dry_run, progress: at }: Import): CliError {
  const far = at === null ? "" : `, ${at.phase}: ${at.done}${at.total === null ? "" : ` of ${at.total}`} rows`;
  const stays = dry_run ? "nothing was applied; run it again" : "run it again: what was done is not done twice";
  const told = `${error.message}\nlast seen of import ${id} of ${plain(label)}${far}. When the server is there again, ${stays}`;
  return new CliError(error instanceof CliError ? error.exit_code : exit_codes.failed, told);
}

function tell(done: Import, rows: readonly Row[]): void {
  const counts = countsText(done.counts) || (done.status === "DONE" ? "no rows" : "");
  const dry = done.dry_run ? " (dry run: nothing was applied)" : "";
  print(`${done.label}: ${done.status.toLowerCase()}${dry}${counts === "" ? "" : `: ${counts}`}`);
  const { since_at, whole } = done.detail;
  if (since_at !== undefined)
    print(
      `  asked only for what changed since ${since_at}, and for some time before that, as some changes are written late`,
    );
  if (whole !== undefined) print(`  asked for everything: ${whole}`);
  if (done.detail.reason !== undefined) print(`  ${done.detail.reason}`);
  if (done.status === "HELD")
    print(
      `  to let it pass: tenure import --release ${done.id} --count N, with the number of people; to drop it: tenure import --discard ${done.id}`,
    );
  if (rows.length === 0) return;
  print("");
  print(
    table(rows, [
      ["OUTCOME", (r) => r.outcome],
      ["ID", (r) => r.external_id],
      ["LOGIN", (r) => r.login ?? r.detail?.user?.["login"]],
      ["WHERE", (r) => r.detail?.place],
      ...(rows.some((row) => row.detail?.changes) ? [["CHANGES", changesOf] as const] : []),
      ["WHY", (r) => r.detail?.reason ?? (r.detail?.cut_off && `access ends ${r.detail.cut_off}`)],
    ]),
  );
  if (isHeld(done)) {
    if (rows.length === rows_shown) print("… the first of them: tenure import ... --json --rows has them all");
    return;
  }
  const refused = done.counts["refused"] ?? 0;
  if (refused > rows.length) print(`… and ${refused - rows.length} more: tenure import ... --json --rows`);
}

/** "department: Mills -> Sales; title: nothing -> Head". */
function changesOf({ detail }: Row): string {
  const shown = (value: unknown) => (value === null || value === undefined ? "nothing" : plain(value));
  return Object.entries(detail?.changes ?? {})
    .map(([attribute, { before, after }]) => `${attribute}: ${shown(before)} -> ${shown(after)}`)
    .join("; ");
}

/** It is, or, being a dry run, would be. */
const isHeld = ({ status, detail }: Import): boolean => status === "HELD" || detail.would_be_held === true;

function exitOf({ status, counts, detail }: Import): ExitCode {
  // Why is told: the guard holds it, a file was refused, a source did not answer, or somebody stopped it.
  if (status !== "DONE" || detail.would_be_held) return exit_codes.refused;
  return (counts["refused"] ?? 0) > 0 ? exit_codes.partly : exit_codes.done;
}

/** Imports when the file's size or time moves; a file that is still being written is left until it rests for a second. */
async function watch(client: Client, given: Given, app_id: string, file: string): Promise<never> {
  const stamp = () => (existsSync(file) ? `${statSync(file).size} ${statSync(file).mtimeMs}` : "");
  for (let last = ""; ; ) {
    const now = stamp();
    if (now !== "" && now !== last) {
      await sleep(1_000);
      if (stamp() !== now) continue;
      last = now;
      await importOnce(client, given, app_id, file).catch((error: Error) => process.stderr.write(`${error.message}\n`));
    }
    await sleep(500);
  }
}
