/** The story's prologue: the first account, then everyone's accounts, held against the oracle. */
import { setTimeout as sleep } from "node:timers/promises";
import { fullName } from "../cast.ts";
import { badges_label, responders_group } from "../company.ts";
import { handOutBadges } from "../found.ts";
import { type StepReport, seconds } from "../narrator.ts";
import { expectedLogins, present } from "../oracle.ts";
import { readAccounts } from "../reader.ts";
import { type AppLabel, app_labels, type RunningSystem } from "../systems.ts";
import type { Tenure } from "../tenure.ts";
import { account, accountIs, type Check, groupIn, memberIs, type Stage, type Step, until } from "./stage.ts";

const poll_ms = 40;

/** Waits for the first account in any of the apps; its time counts from the start of this process. */
export async function firstAccount(
  starting: readonly Promise<RunningSystem>[],
  tenure: Tenure,
  timeout_ms: number,
): Promise<StepReport> {
  const give_up_ms = performance.now() + timeout_ms;
  const counts = starting.map(async (system) => {
    const { label, address } = await system;
    for (;;) {
      const accounts = (await readAccounts(address)).length;
      if (accounts > 0) return { accounts, ms: Math.round(performance.now()) };
      if (performance.now() > give_up_ms) throw new Error(`${label}: no account after ${seconds(timeout_ms)}`);
      await sleep(poll_ms);
    }
  });
  const step = "first_account";
  try {
    const first = await Promise.any(counts);
    return { step, ok: true, ...first, operations: await tenure.operations() };
  } catch (thrown) {
    const errors =
      thrown instanceof AggregateError ? thrown.errors.map((one) => (one as Error).message) : [`${thrown}`];
    const error = [...errors, ...(await tenure.standing())].join("\n");
    return { step, ok: false, ms: Math.round(performance.now()), accounts: 0, operations: 0, error };
  }
}

/** An app has an enabled account for each who should have one, one each, and for nobody else. */
export function everyoneIn(stage: Stage, label: AppLabel): Check {
  return async () => {
    const expected = expectedLogins(label, stage.hr.rows, stage.odd, stage.cast, stage.turns());
    const seen = await readAccounts(stage.systems[label].address);
    const logins = seen.map(({ userName }) => userName);
    const twice = logins.find((login, n) => logins.indexOf(login) !== n);
    if (twice !== undefined) return `${label}: ${twice} has two accounts`;
    const enabled = new Set(seen.filter(({ active }) => active).map(({ userName }) => userName));
    stage.tell.progress(`${label}: ${enabled.size} of ${expected.size} accounts`);
    const missing = [...expected].filter((login) => !enabled.has(login));
    const extra = [...enabled].filter((login) => !expected.has(login));
    if (missing.length === 0 && extra.length === 0) return null;
    const named = [...missing, ...extra].slice(0, 3).join(", ");
    return `${label}: ${missing.length} accounts are missing and ${extra.length} too many (${named} …)`;
  };
}

function everyoneInAll(stage: Stage): readonly Check[] {
  return app_labels.map((label) => everyoneIn(stage, label));
}

/** The app's own groups have the members that the rules give them. */
export function departmentsIn(stage: Stage): readonly Check[] {
  const { rows } = stage.hr;
  const departments = [...new Set(rows.map(({ department }) => department))].filter((name) => name !== "Management");
  return departments.map((name) => async () => {
    const there = present(rows, stage.odd, stage.turns()).filter((row) => row.department === name).length;
    const members = (await groupIn(stage, "Chat", name))?.members.length ?? 0;
    return members === there ? null : `Chat: the group ${name} has ${members} members instead of ${there}`;
  });
}

export const prologue: Step = {
  step: "provision",
  title: "Everyone gets what their job needs",
  timeout_ms: 180_000,
  async play(stage, deadline) {
    const { cast, tell } = stage;
    await until(deadline, [
      ...everyoneInAll(stage),
      ...departmentsIn(stage),
      ...cast.responders.map((who) => memberIs(stage, "Chat", responders_group, who, true)),
      memberIs(stage, "Code", "Engineering", cast.leaver, true),
      accountIs(stage, "Chat", cast.orphan, (seen) => seen.manager !== "people@meridian.example" && "has a manager"),
    ]);
    for (const label of app_labels) {
      const accounts = await readAccounts(stage.systems[label].address);
      tell.say(`${label}: ${accounts.length} accounts`);
    }
    const badges = await handOutBadges(stage.tenure, stage.company);
    tell.say(`${badges_label}: ${badges} tasks, completed by the porter`);
    const orphan = await account(stage, "Chat", cast.orphan);
    tell.say(`${fullName(cast.orphan)}: the manager in the HR file does not exist; Chat has ${orphan?.manager}.`);
  },
};

export const epilogue: Step = {
  step: "everyone",
  title: "In the end: every account of every app, held against the HR file",
  async play(stage, deadline) {
    await until(deadline, [...everyoneInAll(stage), ...departmentsIn(stage)]);
    stage.tell.say("Nobody is missing, nobody has too much, nobody has two.");
  },
};
