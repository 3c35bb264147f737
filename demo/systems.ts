/**
 * The apps of Meridian Instruments that speak SCIM: each a process of its own, listening on the loopback address, with
 * its accounts in its memory. Two of them are other people's servers; Ticketing is ours and made to fail.
 *
 * Law: they live as long as the demo. Each ends when the pipe to it closes, so a demo that is killed leaves none.
 */
import type { Trouble } from "./apps/quirks.ts";
import { type AppName, type SpawnedApp, spawnApp } from "./apps/spawn.ts";
import type { Address } from "./reader.ts";

export const app_labels = ["Chat", "Code", "Wiki", "Expenses", "Ticketing"] as const;
export type AppLabel = (typeof app_labels)[number];

/** `profile`: the vendor profile that Tenure is told; `about`: what it is, for people. */
export type SystemPlan = Readonly<{ server: AppName; profile: string; about: string; args?: readonly string[] }>;

/** What makes Ticketing flaky: one call in 29 fails, one write in 7 loses its answer, and more than 50 a second wait. */
export const flaky: Trouble = { error_every: 29, drop_every: 7, rate: 50, retry_after_s: 1 };
/** Nothing works. */
export const outage: Trouble = { error_every: 1 };

export const systems: Readonly<Record<AppLabel, SystemPlan>> = {
  Chat: { server: "scimmy", profile: "strict", about: "the scimmy server, SCIM by the letter" },
  Code: { server: "betterAuth", profile: "strict", about: "better-auth, a strict server of another maker" },
  Wiki: { server: "quirks", profile: "strict", about: "SCIM as the draft profile has it" },
  Expenses: { server: "quirks", profile: "aws", about: "SCIM as AWS speaks it", args: ["--profile", "aws"] },
  Ticketing: {
    server: "quirks",
    profile: "strict",
    about: "flaky: 429, 5xx, and answers lost after the work was done",
    args: ["--trouble", JSON.stringify(flaky)],
  },
};

export type RunningSystem = Readonly<{ label: AppLabel; address: Address; pid: number; stop(): Promise<void> }>;

/** Starts one app and waits until it answers. */
export async function startSystem(label: AppLabel): Promise<RunningSystem> {
  const plan = systems[label];
  const app: SpawnedApp = await spawnApp(plan.server, plan.args === undefined ? {} : { args: plan.args });
  const address: Address = { url: app.url, token: app.token, ...(plan.profile === "aws" ? { paging: "cursor" } : {}) };
  return { label, address, pid: app.pid, stop: app.stop };
}

/** Changes the trouble of an app that runs the quirks server. */
export async function setTrouble(system: RunningSystem, trouble: Trouble): Promise<void> {
  const url = new URL("/__trouble", system.address.url);
  const answer = await fetch(url, { method: "PUT", body: JSON.stringify(trouble) });
  if (!answer.ok) throw new Error(`${system.label} did not take its new trouble: ${answer.status}`);
}

/** How often each kind of trouble struck, as the app counted. */
export async function readTrouble(system: RunningSystem): Promise<Readonly<Record<string, number>>> {
  const answer = await fetch(new URL("/__stats", system.address.url));
  return (await answer.json()) as Record<string, number>;
}
