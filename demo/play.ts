/**
 * The demo from start to end: start what it runs on, found the company, play the story, stay up or stop.
 *
 * Law: whatever way this process ends, nothing of it is left running: apps end when the pipe to them closes, and so does
 * the embedded database. Called by demo.ts.
 */
import process from "node:process";
import { type Cast, chooseCast } from "./cast.ts";
import { closingWords } from "./closing.ts";
import { badges_label, type Label } from "./company.ts";
import { type Company, companyOf, connectApp, type Directory, foundDirectory, settle } from "./found.ts";
import { hrRows, type Oddities } from "./hrFile.ts";
import { humanNarrator, jsonNarrator, type Narrator, plural, type StepReport, seconds } from "./narrator.ts";
import type { DemoOptions } from "./options.ts";
import { before_story, type Turns } from "./oracle.ts";
import { company_name } from "./people.ts";
import { hrSystem, type Running, startSystems, startTenure, stopRunning, writeHrFile } from "./start.ts";
import { accessChanges } from "./story/access.ts";
import { arrivals } from "./story/arrive.ts";
import { epilogue, firstAccount, prologue } from "./story/begin.ts";
import { departures } from "./story/depart.ts";
import { type Hr, measured, type Snapshot, type Stage, type Step, type Systems, snapshot } from "./story/stage.ts";
import { type AppLabel, app_labels, type RunningSystem, systems } from "./systems.ts";
import type { Tenure } from "./tenure.ts";

const step_timeout_ms = 60_000;
const first_account_timeout_ms = 120_000;
const log_lines = 30;
const story: readonly Step[] = [...arrivals, ...accessChanges, ...departures, epilogue];

/** Plays the demo; gives the exit code when it is over or somebody ends it. */
export async function playDemo(options: DemoOptions): Promise<number> {
  const running: Running = { stops: [], stopping: false };
  const tell = options.json ? jsonNarrator() : humanNarrator();
  const interrupted = stopSignal(tell).then((code) => ({ code, early: true }));
  const played = perform(options, running, tell).then((code) => ({ code, early: false }));
  const { code, early } = await Promise.race([interrupted, played]);
  await stopRunning(running);
  // What the story still waits for must not hold the process when somebody wants it to end.
  if (early) process.exit(running.told ?? code);
  return code;
}

/** Resolves when somebody stops the demo. A second signal does not wait for the end. */
function stopSignal(tell: Narrator): Promise<number> {
  let asked = false;
  return new Promise((done) => {
    // Whoever read our output has gone: nobody is there to be told.
    process.stdout.on("error", () => done(141));
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
      ["SIGHUP", 129],
    ] as const) {
      process.on(signal, () => {
        if (asked) process.exit(code);
        asked = true;
        tell.say("Stopping …");
        done(code);
      });
    }
  });
}

async function perform(options: DemoOptions, running: Running, tell: Narrator): Promise<number> {
  const reports: StepReport[] = [];
  const lines: string[] = [];
  const log = (line: string) => {
    lines.push(line);
    tell.progress(line);
  };
  const report: Report = (one) => {
    reports.push(one);
    // What fails because everything is being stopped is no failure of the story.
    if (!running.stopping) tell.report(one);
    return one.ok;
  };
  try {
    const opened = await open(options, running, tell, log, report);
    let seen = opened?.seen ?? new Map();
    if (opened !== undefined) for (const step of story) seen = await play(opened.stage, step, seen, report);
    const good = reports.every((one) => one.ok);
    if (!good) tellLog(lines);
    if (options.headless && !options.keep) return good ? 0 : 1;
    if (opened !== undefined) {
      closingWords(tell, { url: opened.url, login: opened.stage.cast.leaver.login, options, good });
    }
    running.told = good ? 0 : 1;
    return await new Promise<number>(() => {});
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    report({ step: "start", ok: false, ms: Math.round(performance.now()), accounts: 0, operations: 0, error: text });
    if (!running.stopping) tellLog(lines);
    return 1;
  }
}

/** What the server had to say before something went wrong; on stderr, in JSON mode too. */
function tellLog(lines: readonly string[]): void {
  if (lines.length === 0) return;
  process.stderr.write(
    `The server's last words:\n${lines
      .slice(-log_lines)
      .map((line) => `  ${line}\n`)
      .join("")}`,
  );
}

type Report = (one: StepReport) => boolean;

/** Plays one step and tells how it went. `seen`: what the apps held before; gives what they hold after. */
async function play(
  stage: Stage,
  { step, title, timeout_ms, play: act }: Step,
  seen: Snapshot,
  report: Report,
): Promise<Snapshot> {
  stage.tell.title(title);
  const may_take_ms = timeout_ms ?? step_timeout_ms;
  const deadline = { at_ms: performance.now() + may_take_ms, timeout_ms: may_take_ms };
  const done = await measured(stage, step, seen, () => act(stage, deadline));
  report(done.report);
  return done.after;
}

type Opened = Readonly<{ stage: Stage; url: string; seen: Snapshot }>;

/** Starts everything and founds the company; undefined: not even one account was made. */
async function open(
  options: DemoOptions,
  running: Running,
  tell: Narrator,
  log: (line: string) => void,
  report: Report,
): Promise<Opened | undefined> {
  tell.title(`${company_name}: ${options.people} people, ${app_labels.length + 2} apps`);
  tell.say("Every step is judged by reading the apps themselves over SCIM, not by what Tenure believes.");
  // Chat first and alone: with all apps starting at once, nobody would have an account soon.
  const first_systems = startSystems(running, ["Chat"]);
  const { tenure, data_folder, url } = await startTenure(options, running, log);
  const today = (await tenure.now()).toISOString().slice(0, 10);
  const { rows, odd } = hrRows(options.people, options.seed, today);
  const cast = chooseCast(rows, odd, options.people, options.seed, today);
  writeHrFile(data_folder, rows);
  const directory = await foundDirectory(tenure);
  const chat = await connectApp(tenure, "Chat", directory, first_systems.Chat);
  tell.say(`Tenure runs at ${url}; the HR file has ${rows.length} rows.`);
  const hr = hrSystem(tenure, directory.source, data_folder);
  report(await firstImport(hr, rows, odd, tell));
  const starting = { ...first_systems, ...startSystems(running, ["Wiki", "Expenses", "Ticketing", "Code"]) };
  const connecting = connectOthers(tenure, directory, starting, chat);
  const first = await firstAccount(Object.values(starting), tenure, first_account_timeout_ms);
  tell.say(`The first account exists ${seconds(first.ms)} after the start.`);
  if (!report(first)) return undefined;
  const company = await connecting;
  await settle(tenure, company, cast);
  const running_systems = await settled(starting);
  for (const label of app_labels) {
    tell.say(`${label} answers at ${running_systems[label].address.url}: ${systems[label].about}`);
  }
  const stage = stageOf(tenure, running_systems, company, cast, hr, odd, tell);
  const seen = await play(stage, prologue, await snapshot(running_systems), report);
  return { stage, url, seen };
}

type Starting = Readonly<Record<AppLabel, Promise<RunningSystem>>>;

/** Connects the other apps, each as soon as it answers. Whoever waits hears of a failure. */
function connectOthers(tenure: Tenure, directory: Directory, starting: Starting, chat: string): Promise<Company> {
  const labels = ["Wiki", "Expenses", "Ticketing", "Code", badges_label] as const;
  const connect = async (label: (typeof labels)[number]): Promise<readonly [Label, string]> => [
    label,
    await connectApp(tenure, label, directory, label === badges_label ? undefined : starting[label]),
  ];
  const company = Promise.all(labels.map(connect)).then((ids) =>
    companyOf(directory, new Map<Label, string>([["Chat", chat], ...ids])),
  );
  company.catch(() => {});
  return company;
}

async function settled(starting: Starting): Promise<Systems> {
  const entries = await Promise.all(app_labels.map(async (label) => [label, await starting[label]] as const));
  return Object.fromEntries(entries) as Systems;
}

/** The whole file: everybody is taken but the one whose address is another's, and that row is named. */
async function firstImport(hr: Hr, rows: Hr["rows"], odd: Oddities, tell: Narrator): Promise<StepReport> {
  const began = performance.now();
  const { refused, counts } = await hr.publish(rows);
  const ms = Math.round(performance.now() - began);
  for (const { place, reason } of refused) tell.say(`Not taken: ${place}: ${reason}`);
  tell.say(`${plural(counts["created"] ?? 0, "person")} taken in ${seconds(ms)}.`);
  const named = refused.length === 1 && refused[0]?.place.includes(odd.doubled) === true;
  const report = { step: "import", ms, accounts: 0, operations: 0 };
  if (named && counts["created"] === rows.length - 1) return { ...report, ok: true };
  const error = `expected one refused row, that of ${odd.doubled}; got ${JSON.stringify({ counts, refused })}`;
  return { ...report, ok: false, error };
}

function stageOf(
  tenure: Tenure,
  running_systems: Systems,
  company: Company,
  cast: Cast,
  hr: Hr,
  odd: Oddities,
  tell: Narrator,
): Stage {
  let turns: Turns = before_story;
  return {
    ...{ tenure, company, cast, hr, odd, tell, systems: running_systems },
    turns: () => turns,
    turn: (change) => {
      turns = { ...turns, ...change };
    },
    today: async () => (await tenure.now()).toISOString().slice(0, 10),
  };
}
