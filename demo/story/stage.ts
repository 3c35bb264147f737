/**
 * The stage on which the story is played: Tenure's API, the apps, the HR file and the cast, and the one way every step
 * is judged: read the apps until they are as they should be, or say what is lacking.
 *
 * Law: a step is `ok` only by what the apps themselves answer over SCIM; Tenure's own word is not asked.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Cast } from "../cast.ts";
import type { Company } from "../found.ts";
import type { Oddities } from "../hrFile.ts";
import type { Narrator, StepReport } from "../narrator.ts";
import type { Turns } from "../oracle.ts";
import type { HrRow } from "../people.ts";
import { readAccount, readAccounts, readGroup, type SeenAccount, type SeenGroup } from "../reader.ts";
import { type AppLabel, app_labels, type RunningSystem } from "../systems.ts";
import type { Imported, Tenure } from "../tenure.ts";

export type Systems = Readonly<Record<AppLabel, RunningSystem>>;

/** The HR system: a file that is written anew, and Tenure asked to read it. */
export type Hr = {
  rows: readonly HrRow[];
  /** Replaces the file and imports it; gives what the import did. */
  publish(rows: readonly HrRow[]): Promise<Imported>;
};

export type Stage = Readonly<{
  tenure: Tenure;
  systems: Systems;
  company: Company;
  cast: Cast;
  hr: Hr;
  odd: Oddities;
  tell: Narrator;
  /** How far the story has come. */
  turns(): Turns;
  turn(change: Partial<Turns>): void;
  /** The day it is in the story: the clock may have been moved. */
  today(): Promise<string>;
}>;

/** A step of the story. `play` throws when something is not as it should be. */
export type Step = Readonly<{
  step: string;
  title: string;
  timeout_ms?: number;
  play(stage: Stage, deadline: Deadline): Promise<void>;
}>;

/** Until when a step may take. */
export type Deadline = Readonly<{ at_ms: number; timeout_ms: number }>;

/** Null when it is so; otherwise what is not, in words. */
export type Check = () => Promise<string | null>;

const poll_ms = 60;

/** Waits until every check holds. Throws with what is still lacking when the step's time is over. */
export async function until(deadline: Deadline, checks: readonly Check[]): Promise<void> {
  for (const check of checks) {
    for (let lacking = await tried(check); lacking !== null; lacking = await tried(check)) {
      if (performance.now() > deadline.at_ms) {
        throw new Error(`after ${Math.round(deadline.timeout_ms / 1_000)} s: ${lacking}`);
      }
      await sleep(poll_ms);
    }
  }
}

/** An app that cannot be read just now has not said yes. */
async function tried(check: Check): Promise<string | null> {
  try {
    return await check();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The account of somebody in an app; null: none. */
export function account(stage: Stage, app: AppLabel, who: Pick<HrRow, "login">): Promise<SeenAccount | null> {
  return readAccount(stage.systems[app].address, who.login);
}

/** The account of somebody is there, and `wrong` finds nothing wrong with it. */
export function accountIs(
  stage: Stage,
  app: AppLabel,
  who: Pick<HrRow, "login">,
  wrong: (seen: SeenAccount) => string | false,
): Check {
  return async () => {
    const seen = await account(stage, app, who);
    if (seen === null) return `${app} has no account ${who.login}`;
    const fault = wrong(seen);
    return fault === false ? null : `${app}, ${who.login}: ${fault}`;
  };
}

/** The account of somebody is there and enabled. */
export function enabled(stage: Stage, app: AppLabel, who: Pick<HrRow, "login">): Check {
  return accountIs(stage, app, who, (seen) => !seen.active && "is disabled");
}

/** The account of somebody cannot be used: disabled, or not there at all. */
export function shut(stage: Stage, app: AppLabel, who: Pick<HrRow, "login">): Check {
  return async () => {
    const seen = await account(stage, app, who);
    return seen?.active ? `${app}, ${who.login}: is still enabled` : null;
  };
}

/** The app's own group has somebody as its member, or has not. */
export function memberIs(
  stage: Stage,
  app: AppLabel,
  group: string,
  who: Pick<HrRow, "login">,
  member: boolean,
): Check {
  return async () => {
    const seen = await groupIn(stage, app, group);
    if (seen === null) return `${app} has no group ${group}`;
    const id = (await account(stage, app, who))?.id;
    if ((id !== undefined && seen.members.includes(id)) === member) return null;
    return `${app}: ${who.login} is ${member ? "not yet" : "still"} in the group ${group}`;
  };
}

/** An app's own group. */
export function groupIn(stage: Stage, app: AppLabel, name: string): Promise<SeenGroup | null> {
  return readGroup(stage.systems[app].address, name);
}

/** Every account of every app, as text, by app and id. */
export type Snapshot = ReadonlyMap<string, string>;

/** Reads every account of every app. */
export async function snapshot(systems: Systems): Promise<Snapshot> {
  const seen = new Map<string, string>();
  for (const label of app_labels) {
    for (const one of await readAccounts(systems[label].address)) {
      const { meta: _, ...what } = one.raw as Record<string, unknown>;
      seen.set(`${label} ${one.id}`, JSON.stringify(what));
    }
  }
  return seen;
}

function differing(before: Snapshot, after: Snapshot): number {
  const keys = new Set([...before.keys(), ...after.keys()]);
  return [...keys].filter((key) => before.get(key) !== after.get(key)).length;
}

/**
 * Measures what work does: its time, the accounts it changed in the apps since `before`, and the calls it took. A failure
 * becomes a report with what was lacking and what Tenure says is left to do.
 */
export async function measured(
  stage: Pick<Stage, "tenure" | "systems">,
  step: string,
  before: Snapshot,
  work: () => Promise<void>,
): Promise<Readonly<{ report: StepReport; after: Snapshot }>> {
  const operations_before = await stage.tenure.operations();
  const began = performance.now();
  let error: string | undefined;
  try {
    await work();
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.message : String(thrown);
  }
  const ms = Math.round(performance.now() - began);
  if (error !== undefined) error += `\n${await diagnosis(stage.tenure)}`;
  const after = await snapshot(stage.systems).catch(() => before);
  const operations = (await stage.tenure.operations().catch(() => operations_before)) - operations_before;
  const figures = { step, ok: error === undefined, ms, accounts: differing(before, after), operations };
  return { report: error === undefined ? figures : { ...figures, error }, after };
}

/** What is left to do, in which app, and what stands in the way. */
async function diagnosis(tenure: Tenure): Promise<string> {
  try {
    return (await tenure.standing()).join("\n");
  } catch (error) {
    return `Tenure does not answer: ${error instanceof Error ? error.message : String(error)}`;
  }
}
