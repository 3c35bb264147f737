/**
 * tenure okta-import: moves an Okta organisation into the running Tenure: first a plan, then, with --apply, what it says.
 * How it works is in okta/: the reader, the plan, and carrying it out. docs/moving-from-okta.md is for those who do it.
 */
import { closeSync, renameSync, rmSync, writeSync } from "node:fs";
import { type Given, helpOf, readArgs, requireWords, type Usage } from "./args.ts";
import { type Client, clientAt, openClient, requireAddress } from "./client.ts";
import { CliError, type ExitCode, exit_codes } from "./errors.ts";
import { openToWrite, readText, requireFile, requireWritable } from "./files.ts";
import { applySteps } from "./okta/apply.ts";
import { unfinished_why } from "./okta/applyApps.ts";
import type { Applying } from "./okta/applying.ts";
import { readDocument } from "./okta/document.ts";
import { type Stop, Stopped } from "./okta/lanes.ts";
import { fold, type Organisation, textOf } from "./okta/organisation.ts";
import { isEmpty, type Plan, planImport } from "./okta/plan.ts";
import { type Read, readOrganisation } from "./okta/read.ts";
import { printApplied, printPlan } from "./okta/report.ts";
import { type Progress, print, printJson, progress } from "./output.ts";

const usage: Usage = {
  name: "okta-import",
  words: "[OKTA_URL]",
  summary: `Moves an Okta organisation into this Tenure. It reads people, groups, rules, apps, assignments, mappings and
schemas there, and tells what would be made or changed here; --apply does it. Nothing is written in Okta or in any app,
nobody is sent anything, and running it again goes on. With --export it writes what it read to a file instead: of the
organisation at OKTA_URL, or without one of this Tenure.`,
  options: {
    "token-file": {
      value: "FILE",
      help: "Okta's API token, read-only is enough (- for standard input; else OKTA_IMPORT_TOKEN)",
    },
    from: { value: "FILE", help: "Take a file that --export wrote in place of an organisation" },
    "ask-passwords": {
      help: "With --apply: who is new here signs in with the old password; the password import hook is asked",
    },
    apply: { help: "Do what the plan says" },
    export: { value: "FILE", help: "Write the organisation as a document; always in the same order" },
  },
};

/** Runs the command. It opens Tenure only where it is needed, so that an export of Okta works without one. */
export async function run(args: readonly string[]): Promise<number> {
  const given = readArgs(usage, args);
  if (given.flag("help")) {
    print(helpOf(usage));
    return exit_codes.done;
  }
  const [url] = requireWords(usage, given.words, 0, 1);
  const stop: Stop = { asked: false };
  const bar = progress(given);
  const asked = () => {
    // The second one ends at once, as it would without us.
    if (stop.asked) process.exit(exit_codes.interrupted);
    stop.asked = true;
    bar.end("stopping when the calls under way are answered; once more ends at once");
  };
  process.on("SIGINT", asked).on("SIGTERM", asked);
  try {
    return await work(given, url, { stop, bar });
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    bar.end();
    process.stderr.write("Stopped. What was carried over stays; run it again to go on.\n");
    return exit_codes.interrupted;
  } finally {
    process.off("SIGINT", asked).off("SIGTERM", asked);
  }
}

type Doing = Readonly<{ stop: Stop; bar: Progress }>;

async function work(given: Given, url: string | undefined, doing: Doing): Promise<ExitCode> {
  const file = given.text("export");
  if (given.flag("apply") && file !== undefined)
    throw new CliError(exit_codes.usage, "tenure okta-import: either --export or --apply");
  if (file !== undefined) requireWritable(file, "--export");
  for (const option of ["from", "token-file"]) {
    const name = given.text(option);
    if (name !== undefined) requireFile(name, `--${option}`);
  }
  if (file !== undefined) {
    const organisation = await theirsOf(given, url, doing, () => openClient(given));
    writeDocument(file, organisation);
    doing.bar.end();
    if (given.flag("json")) printJson({ file, people: organisation.people.length, lacks: organisation.lacks });
    else print(`${file}: ${organisation.people.length} people, ${organisation.apps.length} apps`);
    return exit_codes.done;
  }
  const client = openClient(given);
  if (url !== undefined && URL.parse(url)?.origin === new URL(client.url).origin)
    throw new CliError(exit_codes.usage, `${url} is this Tenure itself: name the organisation that people come from`);
  // Reading a large organisation takes an hour: whether there is anything to compare it with is asked before.
  await client.get("/api/v1/meta/types/user");
  const theirs = await theirsOf(given, url, doing);
  const ours = await reading(client, doing, "here: ");
  const unfinished = await unfinishedApps(client);
  doing.bar.end();
  const plan = planImport(theirs, ours.organisation, { now: new Date(), waiting: ours.ids.waiting, unfinished });
  return given.flag("apply") ? carryOut(given, client, plan, ours, doing) : tellPlan(given, plan);
}

/** Labels of the apps that were being made when it was cut off. */
async function unfinishedApps(client: Client): Promise<ReadonlySet<string>> {
  type Found = Readonly<{ label: string; health: Readonly<{ pause_reason: string | null }> }>;
  const found = await client.all<Found>("/admin/v1/apps", { limit: 200 });
  const cut_off = found.filter(({ health }) => health.pause_reason === unfinished_why);
  return new Set(cut_off.map(({ label }) => fold(label)));
}

/** The organisation to take things from. @param otherwise this Tenure, where nothing else is named. */
async function theirsOf(
  given: Given,
  url: string | undefined,
  doing: Doing,
  otherwise?: () => Client,
): Promise<Organisation> {
  const file = given.text("from");
  if (file !== undefined) return readDocument(file);
  if (url !== undefined) return (await reading(oktaAt(given, url), doing)).organisation;
  if (otherwise !== undefined) return (await reading(otherwise(), doing)).organisation;
  throw new CliError(
    exit_codes.usage,
    `tenure okta-import: which organisation? Give its address (https://company.okta.com) or --from FILE\n\n${helpOf(usage)}`,
  );
}

const reading = (client: Client, { stop, bar }: Doing, where = ""): Promise<Read> =>
  readOrganisation(client, { stop, tell: (what, done, total) => bar.show(`${where}${what}`, done, total) });

/** The token never stands on the command line, and never goes over a network in clear. */
function oktaAt(given: Given, address: string): Client {
  const url = requireAddress(address.replace(/\/+$/, ""));
  const { protocol, hostname, origin } = new URL(url);
  if (protocol === "http:" && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname))
    throw new CliError(exit_codes.usage, `${url}: the token would go over the network in clear; use https`);
  const file = given.text("token-file");
  const token = file === undefined ? process.env["OKTA_IMPORT_TOKEN"] : readText(file, "--token-file").trim();
  if (!token)
    throw new CliError(
      exit_codes.not_allowed,
      "no API token of Okta: give --token-file FILE or set OKTA_IMPORT_TOKEN (a read-only administrator's is enough)",
    );
  return clientAt(origin, token);
}

/** Whole or not at all: a half-written file would pass for a small organisation. */
function writeDocument(file: string, organisation: Organisation): void {
  const part = `${file}.part`;
  try {
    // It names everyone who works there.
    const handle = openToWrite(part, "--export");
    try {
      for (const some of textOf(organisation)) writeSync(handle, some);
    } finally {
      closeSync(handle);
    }
    renameSync(part, file);
  } catch (error) {
    rmSync(part, { force: true });
    throw error instanceof CliError ? error : new CliError(exit_codes.usage, `--export: ${(error as Error).message}`);
  }
}

function tellPlan(given: Given, plan: Plan): ExitCode {
  if (given.flag("json")) printJson({ counts: plan.counts, notes: plan.notes, empty: isEmpty(plan) });
  else {
    printPlan(plan);
    print(
      isEmpty(plan)
        ? "\nNothing to carry over."
        : "\nNothing was changed. To carry it over, say --apply: it writes here only, never in Okta or in an app.",
    );
  }
  return exit_codes.done;
}

async function carryOut(given: Given, client: Client, plan: Plan, ours: Read, doing: Doing): Promise<ExitCode> {
  const applying: Applying = {
    ...{ client, ours, stop: doing.stop, ask_passwords: given.flag("ask-passwords"), failures: [], done: new Map() },
    tell: (what, done, total) => doing.bar.show(what, done, total),
  };
  if (!given.flag("json")) printPlan(plan);
  let ended: unknown;
  try {
    await applySteps(applying, plan.steps);
  } catch (error) {
    ended = error;
  }
  doing.bar.end();
  const { done, failures } = applying;
  if (given.flag("json")) {
    const stopped = ended !== undefined;
    printJson({ counts: plan.counts, notes: plan.notes, carried: Object.fromEntries(done), failures, stopped });
  } else printApplied(applying);
  if (ended instanceof CliError) {
    const more = "What was carried over stays; run it again to go on.";
    throw new CliError(ended.exit_code, `${ended.message}\n${more}`, ended.status, ended.code);
  }
  if (ended !== undefined) throw ended;
  return failures.length > 0 ? exit_codes.partly : exit_codes.done;
}
