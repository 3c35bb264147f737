/**
 * Operate: bring one claimed account to what it should be, with at most one write.
 *
 * The four rules. The design without any one of them was shown by simulation to leave a leaver's account enabled for
 * ever, or a person with two accounts, after a crash (docs/decisions/0003-four-rules.md):
 *
 * 1. Claiming makes a row unsure; only a fenced confirm makes it sure; an unsure row is read before it is written.
 * 2. No write starts after the lease ends, and every call's deadline ends before the lease does.
 * 3. A refused confirm marks the row unsure and due again.
 * 4. An account without external id is searched for before it is created.
 *
 * A request that the network delivers after its deadline can still defeat all four: the periodic reconcile is the last
 * net. Nothing here touches the database but one look at who else is linked to a found account; confirm.ts writes.
 */
import { type CallLog, ConnectorFault, type Context, type RemoteAccount } from "../connectors/connector.ts";
import type { Change } from "../core/diff.ts";
import { apply, plan, type Step } from "../core/plan.ts";
import type { FaultKind, Have } from "../core/types.ts";
import { isAway, sql } from "../store/database.ts";
import type { Claimed } from "./claim.ts";
import { type EngineApp, lease_margin_ms, planAppOf, planted, type World } from "./world.ts";

/** One call that wrote, or one that failed: the operation row. */
export type Operation = Readonly<{
  step: "create" | "update" | "disable" | "enable" | "delete" | "link" | "look" | "unsupported";
  outcome: "done" | "pending" | "fault";
  fault?: FaultKind;
  detail: Readonly<{ message?: string; changes?: readonly Change[]; requests?: readonly string[] }>;
  started_at: Date;
  finished_at: Date;
}>;

export type Fault = Readonly<{ kind: FaultKind; message: string; attribute?: string; retry_at?: Date }>;

/**
 * How an operation ended. `done`: have is what want asked for. `again`: something was learnt, look again at once.
 * `pending`: a person, or the app later, must do it. `lapsed`: the lease ran out before a write; nothing was done.
 */
export type Ended = "done" | "again" | "pending" | "fault" | "lapsed";

export type Result = Readonly<{
  claimed: Claimed;
  ended: Ended;
  external_id: string | null;
  have: Have | null;
  pending?: "create" | "update" | "remove";
  fault?: Fault;
  operations: readonly Operation[];
}>;

type Seen = { external_id: string | null; have: Have | null };

/** Works on one claimed account. Never throws for what an app does; a bug of ours becomes a `retry` fault with its text. */
export async function operate(world: World, app: EngineApp, claimed: Claimed): Promise<Result> {
  const requests: string[] = [];
  const call: CallLog = (line) => {
    if (requests.length < 8) requests.push(`${line.request} ${line.status ?? ""} ${Math.round(line.ms)} ms`.trim());
  };
  const stop_at = new Date(claimed.claimed_until.getTime() - lease_margin_ms);
  const ctx: Context = { signal: world.deadline(stop_at), log: call, now: () => world.now() };
  const started_at = world.now();
  const seen: Seen = { external_id: claimed.external_id, have: claimed.have };
  let step: Step = { kind: "none" };
  const record = (over: Pick<Operation, "step" | "outcome"> & Partial<Operation>): Operation => ({
    started_at,
    finished_at: world.now(),
    detail: { requests, ...(step.kind === "update" ? { changes: step.changes } : {}) },
    ...over,
  });
  const operations: Operation[] = [];
  try {
    const linked = await lookFirst(world, app, ctx, claimed, seen);
    if (linked) operations.push(record({ step: "link", outcome: "done" }));
    step = plan(claimed.want, seen.have, planAppOf(app));
    if (step.kind === "none") return { claimed, ended: "done", ...seen, operations };
    if (step.kind === "unsupported")
      throw new ConnectorFault("unsupported", `${app.label} does not offer ${step.missing}`);
    requireName(app, step);
    if (world.now() >= stop_at && !planted(world, "late_calls"))
      return { claimed, ended: "lapsed", ...seen, operations };
    const wrote = await write(world, app, ctx, claimed, seen, step);
    operations.push(record({ step: nameOf(step), outcome: wrote === "pending" ? "pending" : "done" }));
    if (wrote !== "pending") return { claimed, ended: "done", ...seen, operations };
    return { claimed, ended: "pending", ...seen, pending: pendingOf(step), operations };
  } catch (error) {
    // Our database was away, which is no fault of the app's: nothing was written, and the account is due again at once.
    if (isOurs(error)) return { claimed, ended: "lapsed", ...seen, operations };
    const fault = asFault(error);
    const adopted =
      fault.kind === "conflict" && step.kind === "create" ? await adopt(world, app, ctx, claimed) : undefined;
    if (adopted) {
      operations.push(record({ step: "link", outcome: "done" }));
      return { claimed, ended: "again", external_id: adopted.id, have: haveOf(adopted), operations };
    }
    operations.push(
      record({
        step: step.kind === "none" ? "look" : nameOf(step),
        outcome: "fault",
        fault: fault.kind,
        detail: { message: fault.message, requests },
      }),
    );
    return { claimed, ended: "fault", ...seen, fault, operations };
  }
}

/** Marks the failure of our one query, so that a connector's own ECONNRESET is never taken for our database's. */
const our_database = "our own database did not answer";
const isOurs = (error: unknown) => error instanceof Error && error.message === our_database && isAway(error.cause);

/**
 * Rules 1 and 4: an unsure account is read, one without external id is searched for. Updates `seen`; gives true when an
 * account was found that we did not know to be ours.
 */
async function lookFirst(world: World, app: EngineApp, ctx: Context, claimed: Claimed, seen: Seen): Promise<boolean> {
  const { connector } = app;
  // What a person keeps by hand cannot be read: the completed task is all anyone knows.
  if (connector.kind === "manual") return false;
  if (seen.external_id !== null) {
    if (!claimed.was_unsure) return false;
    const remote = await connector.read(ctx, seen.external_id);
    seen.have = remote === null ? null : haveOf(remote);
    if (remote !== null) return false;
    seen.external_id = null;
  }
  // Nobody ever tried to make it and nothing is to be made: there is nothing to look for.
  const idle =
    !claimed.was_unsure &&
    (claimed.want === null || !claimed.want.create || !(claimed.want.enabled || claimed.want.early));
  if (idle || planted(world, "no_lookup")) return false;
  const found = await search(world, app, ctx, claimed);
  seen.external_id = found?.id ?? null;
  seen.have = found ? haveOf(found) : null;
  return found !== undefined;
}

/** The names that the account may have there, each once. */
function keysOf(world: World, app: EngineApp, { match_key, tried_keys, have }: Claimed): readonly string[] {
  const keys: string[] = [];
  const add = (key: unknown) => {
    if (typeof key === "string" && key !== "" && !keys.includes(key)) keys.push(key);
  };
  if (!planted(world, "forget_tried_keys")) {
    add(have?.profile[app.provisioning.match_attribute]);
    for (const key of tried_keys) add(key);
  }
  add(match_key);
  return keys;
}

/**
 * Looks for the account by the name it was last seen with, for an app that denied it once, and by every key a create may
 * have been sent with, the earliest first.
 */
async function search(
  world: World,
  app: EngineApp,
  ctx: Context,
  claimed: Claimed,
): Promise<RemoteAccount | undefined> {
  for (const value of keysOf(world, app, claimed)) {
    const all = await app.connector.find(ctx, { attribute: app.provisioning.match_attribute, value });
    const free = await unlinked(world, claimed, all);
    if (free.length > 1) {
      throw new ConnectorFault(
        "conflict",
        `${app.label} has ${free.length} accounts whose ${app.provisioning.match_attribute} is ${value}: keep one there, then retry`,
        { attribute: app.provisioning.match_attribute },
      );
    }
    if (free[0]) return free[0];
  }
  return undefined;
}

/** A create was refused because the account is there: adopt it if the match is exact and nobody else's. */
async function adopt(world: World, app: EngineApp, ctx: Context, claimed: Claimed): Promise<RemoteAccount | undefined> {
  try {
    return await search(world, app, ctx, claimed);
  } catch {
    // The conflict itself is the better story for whoever reads the task.
    return undefined;
  }
}

/** Those of the found accounts that no other user of ours is linked to. */
async function unlinked(world: World, claimed: Claimed, found: readonly RemoteAccount[]): Promise<RemoteAccount[]> {
  if (found.length === 0) return [];
  const { rows } = await sql<{ external_id: string }>`
    select external_id from accounts where app_id = ${claimed.app_id} and id <> ${claimed.account_id}
      and external_id = any(${found.map((account) => account.id)}::text[])`
    .execute(world.db)
    .catch((cause: unknown) => {
      throw new Error(our_database, { cause });
    });
  const taken = new Set(rows.map((row) => row.external_id));
  return found.filter((account) => !taken.has(account.id));
}

/**
 * @throws ConnectorFault for an account that would be without what it is found by: it could never be looked for again,
 * and connectors may rely upon it. Who keeps accounts by hand looks for people, not for names.
 */
function requireName(app: EngineApp, step: Step): void {
  const attribute = app.provisioning.match_attribute;
  const will = step.kind === "create" ? step.profile : step.kind === "update" ? step.set : undefined;
  if (will === undefined || app.connector.kind === "manual") return;
  if (step.kind === "update" && !Object.hasOwn(will, attribute)) return;
  const name = will[attribute];
  if (name !== undefined && name !== null && name !== "") return;
  throw new ConnectorFault(
    "invalid",
    `${app.label} tells accounts apart by ${attribute}, and for this person it is empty: mend its line (tenure apps map), or what the line reads`,
    { attribute },
  );
}

/** The one write of a step. Updates `seen` to what the app holds now; gives "pending" when it will hold it later. */
async function write(
  world: World,
  app: EngineApp,
  ctx: Context,
  claimed: Claimed,
  seen: Seen,
  step: Exclude<Step, { kind: "none" | "unsupported" }>,
): Promise<"written" | "pending"> {
  const { connector } = app;
  const after = apply(step, seen.have);
  if (step.kind === "delete") {
    const answer = seen.external_id === null ? undefined : await connector.delete(ctx, seen.external_id);
    if (answer?.pending) return "pending";
    seen.external_id = null;
    seen.have = null;
    return "written";
  }
  const password = step.kind === "create" && app.provisioning.password === "random" && connector.can.password;
  const answer =
    step.kind === "create"
      ? await connector.create(ctx, {
          profile: step.profile,
          enabled: step.enabled,
          key: claimed.account_id,
          ...(password ? { password: world.password() } : {}),
        })
      : await connector.update(ctx, seen.external_id ?? "", {
          set: step.set,
          ...(step.enabled === undefined ? {} : { enabled: step.enabled }),
          ...(seen.have ? { was: { id: seen.external_id ?? "", ...seen.have } } : {}),
        });
  if (answer.pending) return "pending";
  seen.external_id = answer.id;
  seen.have = answer.account ? haveOf(answer.account) : after;
  return "written";
}

function nameOf(step: Step): Operation["step"] {
  if (step.kind === "update" && step.enabled !== undefined) return step.enabled ? "enable" : "disable";
  return step.kind === "none" ? "look" : step.kind;
}

function pendingOf(step: Step): "create" | "update" | "remove" {
  if (step.kind === "create") return "create";
  return step.kind === "delete" || (step.kind === "update" && step.enabled === false) ? "remove" : "update";
}

const haveOf = (account: RemoteAccount): Have => ({ enabled: account.enabled, profile: account.profile });

/** A call for many accounts that failed is one fault for all of them (health.ts counts it once). */
const known_faults = new WeakMap<ConnectorFault, Fault>();

/** Every failure as one of the seven; what is not a connector's fault is ours, and trying later is the safe reaction. */
export function asFault(error: unknown): Fault {
  if (error instanceof ConnectorFault) {
    const known = known_faults.get(error);
    if (known !== undefined) return known;
    const fault = {
      kind: error.kind,
      message: error.message,
      ...(error.attribute === undefined ? {} : { attribute: error.attribute }),
      ...(error.retry_at === undefined ? {} : { retry_at: error.retry_at }),
    };
    known_faults.set(error, fault);
    return fault;
  }
  return { kind: "retry", message: error instanceof Error ? error.message : String(error) };
}
