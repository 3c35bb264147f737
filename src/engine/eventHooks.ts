/**
 * Telling event hooks: a hook's events are posted to it in the order of the log, one delivery after the other, and a
 * delivery that is not answered with success is tried again until it is, so what a hook has seen of a person is always
 * how that person's life began, with nothing left out.
 *
 * Laws:
 * - At least once: the place moves on after the answer. A node that dies between the two leaves the delivery to be made
 *   again, with the same event id, because the id is a hash of the events.
 * - No event is skipped but by a person who replays the hook from further on. A hook that fails for long is an
 *   administrator's task, and waits at its place.
 * - Nothing is posted after the claim has ended, and a lost claim moves nothing.
 * - One slow hook holds up no other: each has a run of its own (loop.ts).
 *
 * What an event looks like to a hook is not known here: `HookForm` is handed in (docs/decisions).
 */
import { createHash, createHmac } from "node:crypto";
import { ConnectorFault } from "../connectors/connector.ts";
import { statusFault } from "../connectors/http.ts";
import { type Webhook, webhook_timeout_ms } from "../connectors/webhook.ts";
import { backoff_ms } from "../core/faults.ts";
import type { Refusal } from "../core/types.ts";
import { type Command, log } from "../directory/command.ts";
import { getEventHookDelivery } from "../directory/eventHookDeliveries.ts";
import { type EventHook, eventHookSecret, eventHookTarget, eventHookTask } from "../directory/eventHooks.ts";
import { closeTasksFor, raiseTasks } from "../directory/tasks.ts";
import { type LogEvent, system } from "../store/log.ts";
import {
  type Attempt,
  type ClaimedHook,
  giveBack,
  leaveFor,
  moveOn,
  noteAttempt,
  pruneDeliveries,
  readBatch,
  readEvents,
} from "./eventHookPlaces.ts";
import { lease_margin_ms, type World } from "./world.ts";

/**
 * How events look to a hook. `wanted`: by the hook's filters; `body`: of one delivery, as JSON text. `challenge`: in which
 * header an address is sent a word, what it said of it, and what it should have said, for people.
 */
export type HookForm = Readonly<{
  wanted(hook: EventHook): (event: LogEvent) => boolean;
  body(hook: EventHook, events: readonly LogEvent[], delivery: Readonly<{ event_id: string; at: Date }>): string;
  challenge: Readonly<{ header: string; said(json: unknown): unknown; hint: string }>;
}>;

const body_max_chars = 1_000_000;
const wait_max_ms = 600_000;
/** After so long without success it is somebody's task. */
const patience_ms = 900_000;
const error_max_chars = 500;

/** A turn of a hook's run: tells it all that it has been claimed for, or as much as goes well. */
export async function tellHook(
  world: World,
  form: HookForm,
  claimed: ClaimedHook,
  stopping: () => boolean = () => false,
): Promise<void> {
  const { hook } = claimed;
  const wanted = form.wanted(hook);
  let at = claimed;
  let line: Line | undefined;
  try {
    while (!stopping()) {
      const { events, through } = await readBatch(world.db, at);
      const [told, end] = fitting(world, form, hook, events.filter(wanted), through);
      let delivered: Attempt | undefined;
      if (told !== undefined) {
        if (world.now().getTime() > at.claimed_until.getTime() - lease_margin_ms - webhook_timeout_ms) break;
        const opened = line ?? (await open(world, hook).catch((error: unknown) => messageOf(error)));
        if (typeof opened !== "string") line = opened;
        delivered = await attempt(world, opened, { ...told, attempt: at.attempts + 1 });
        if (delivered.outcome === "FAILED") return await failed(world, at, delivered);
      }
      const next = await (delivered !== undefined && at.told_at !== null
        ? recovered(world, at, end, delivered)
        : moveOn(world, at, end, delivered));
      if (next === "lost") return;
      if (next === "done") return await pruneDeliveries(world, hook.id);
      at = next;
    }
    await giveBack(world, at);
  } finally {
    await line?.close();
  }
}

/** What one delivery is made of. */
type Told = Readonly<{ hook: EventHook; seqs: readonly number[]; event_id: string; text: string; attempt: number }>;

/** The first of these events that fit into one delivery, and through where the log has been told with them. */
function fitting(
  world: World,
  form: HookForm,
  hook: EventHook,
  events: readonly LogEvent[],
  through: number,
): readonly [Omit<Told, "attempt"> | undefined, number] {
  if (events.length === 0) return [undefined, through];
  for (let some = events; ; some = some.slice(0, Math.ceil(some.length / 2))) {
    const event_id = eventIdOf(hook, some);
    const text = form.body(hook, some, { event_id, at: world.now() });
    if (text.length > body_max_chars && some.length > 1) continue;
    const seqs = some.map((event) => Number(event.seq));
    return [{ hook, seqs, event_id, text }, some.length === events.length ? through : (seqs.at(-1) ?? through)];
  }
}

/** One id for one delivery, however often and by whichever node it is made: a name-based UUID. */
function eventIdOf(hook: EventHook, events: readonly LogEvent[]): string {
  const hash = createHash("sha256").update(`${hook.id} ${events.map((event) => event.uuid).join(" ")}`);
  const hex = hash.digest("hex").slice(0, 32).split("");
  hex[12] = "8";
  hex[16] = "89ab".charAt(Number.parseInt(hex[16] ?? "0", 16) % 4);
  return hex.join("").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** A line to a hook's address that can sign what goes over it. */
type Line = Webhook & Readonly<{ sign(text: string, at: Date): Readonly<Record<string, string>> }>;

async function open(world: World, hook: EventHook): Promise<Line> {
  const secret = await world.secret(eventHookSecret(hook.id));
  const line = world.webhook({
    url: hook.url,
    headers: Object.fromEntries(hook.headers.map(({ key, value }) => [key, value])),
    ...(secret === undefined || hook.secret_header === null ? {} : { secrets: { [hook.secret_header]: secret } }),
  });
  const sign = (text: string, at: Date): Readonly<Record<string, string>> => {
    if (secret === undefined) return {};
    const seconds = Math.floor(at.getTime() / 1_000);
    const digest = createHmac("sha256", secret.reveal()).update(`${seconds}.${text}`).digest("hex");
    return { "x-tenure-signature": `t=${seconds},v1=${digest}` };
  };
  return { ...line, sign };
}

/** One POST and what came of it. `line`: a text says why there is none. */
async function attempt(world: World, line: Line | string, told: Told): Promise<Attempt> {
  const started_at = world.now();
  const end = (status: number | null, error: string | null): Attempt => ({
    ...{ event_id: told.event_id, seqs: told.seqs, attempt: told.attempt, status, started_at },
    outcome: error === null ? "DELIVERED" : "FAILED",
    duration_ms: Math.max(0, world.now().getTime() - started_at.getTime()),
    error: error === null ? null : error.slice(0, error_max_chars),
  });
  if (typeof line === "string") return end(null, line);
  try {
    const headers = { "content-type": "application/json", ...line.sign(told.text, started_at) };
    const answer = await line.call({ method: "POST", text: told.text, headers });
    // Whatever a hook says with its success is its own affair; a page is no failure here.
    const good = answer.status >= 200 && answer.status < 300;
    return end(answer.status, good ? null : (statusFault(answer, world.now())?.message ?? `${answer.status}`));
  } catch (error) {
    const status = error instanceof ConnectorFault ? Number(error.status) : Number.NaN;
    return end(Number.isInteger(status) ? status : null, messageOf(error));
  }
}

/** An address that cannot be called, or a secret that cannot be opened, is a failure like any other; the rest is ours. */
function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  throw error;
}

/** The place stays; the attempt is kept; after long enough somebody is told. */
async function failed(world: World, claimed: ClaimedHook, attempt: Attempt): Promise<void> {
  const { hook, attempts, told_at } = claimed;
  const wait_ms = Math.min(wait_max_ms, backoff_ms(attempts, world.random()));
  const error = attempt.error ?? "no success";
  await world.db.transaction().execute(async (trx) => {
    const due_at = new Date(world.now().getTime() + wait_ms);
    const since = await leaveFor(world, trx, claimed, due_at, error);
    if (since === undefined) return;
    await noteAttempt({ ...world, db: trx }, hook.id, attempt);
    if (told_at !== null || world.now().getTime() - since.getTime() < patience_ms) return;
    await trx
      .updateTable("event_hook_places")
      .set({ told_at: world.now() })
      .where("hook_id", "=", hook.id)
      .executeTakeFirst();
    const command = { db: trx, now: world.now, actor: system };
    const cause = await log(command, {
      type: "event_hook.delivery",
      outcome: "FAILURE",
      reason: error,
      targets: [eventHookTarget(hook)],
      detail: { failing_since: since.toISOString(), attempts: attempts + 1 },
    });
    const title = `the event hook "${hook.name}" has not taken anything since ${since.toISOString()}; its events wait`;
    await raiseTasks(command, [
      {
        kind: "event_hook_failing",
        title,
        dedupe: eventHookTask(hook.id),
        detail: { hook_id: hook.id, message: error },
        cause,
      },
    ]);
  });
  await pruneDeliveries(world, hook.id);
}

/** A hook that was somebody's task takes events again: its place moves on, and the task is closed. */
async function recovered(world: World, claimed: ClaimedHook, through: number, delivered: Attempt) {
  return world.db.transaction().execute(async (trx) => {
    const next = await moveOn({ ...world, db: trx }, claimed, through, delivered);
    if (next === "lost") return next;
    const { hook } = claimed;
    const command = { db: trx, now: world.now, actor: system };
    await log(command, { type: "event_hook.delivery", targets: [eventHookTarget(hook)] });
    await closeTasksFor(command, { dedupe: [eventHookTask(hook.id)], note: "the hook takes events again" });
    return next;
  });
}

/**
 * Makes one delivery again, out of turn and now: the same events under the same event id. The place stays where it is.
 * Gives what came of it.
 */
export async function tellAgain(
  world: World,
  command: Command,
  form: HookForm,
  hook: EventHook,
  delivery_id: string,
): Promise<(Attempt & Readonly<{ id: string }>) | Refusal> {
  if (hook.status !== "ACTIVE" || hook.verified_at === null) {
    const refused = `the event hook "${hook.name}" is not ${hook.status === "ACTIVE" ? "verified" : "active"}: nothing is sent to it`;
    return { refused, code: "invalid", place: "eventHook" };
  }
  const delivery = await getEventHookDelivery(world.db, hook.id, delivery_id);
  if (delivery === undefined) {
    const refused = `the event hook "${hook.name}" has no delivery ${delivery_id.slice(0, 100)}`;
    return { refused, code: "not_found", place: delivery_id.slice(0, 100) };
  }
  const events = await readEvents(world.db, delivery.seqs);
  if (events.length === 0) {
    const refused = `the events of the delivery ${delivery.id} are not in the log any more`;
    return { refused, code: "invalid", place: "delivery_id" };
  }
  const [told] = fitting(world, form, hook, events, 0);
  const opened = await open(world, hook).catch((error: unknown) => messageOf(error));
  try {
    if (told === undefined) throw new Error("a delivery without events");
    const made = { ...(await attempt(world, opened, { ...told, attempt: delivery.attempt + 1 })), again: true };
    const id = await noteAttempt(world, hook.id, made);
    await log(command, { type: "event_hook.replay", targets: [eventHookTarget(hook)], detail: { delivery_id: id } });
    return { ...made, id };
  } finally {
    if (typeof opened !== "string") await opened.close();
  }
}

/** Why an address could never be called, or undefined. Nothing is connected. */
export function refuseAddress(world: World, url: string): Refusal | undefined {
  try {
    void world.webhook({ url }).close();
    return undefined;
  } catch (error) {
    if (error instanceof ConnectorFault) return { refused: error.message, code: "invalid", place: "url" };
    throw error;
  }
}

/**
 * Asks an address whether it wants to be told: it gives a word back that it is sent. Gives what is wrong, for people, or
 * undefined. `word`: nobody can guess it.
 */
export async function challengeHook(
  world: World,
  { challenge }: HookForm,
  hook: EventHook,
  word: string,
): Promise<Refusal | undefined> {
  const refuse = (why: string): Refusal => ({
    refused: `${why}; ${challenge.hint}`,
    code: "invalid",
    place: "verification",
  });
  const opened = await open(world, hook).catch((error: unknown) => messageOf(error));
  if (typeof opened === "string") return refuse(opened);
  try {
    const answer = await opened.call({ method: "GET", headers: { [challenge.header]: word } });
    const fault = statusFault(answer, world.now());
    if (fault !== null) return refuse(fault.message);
    return challenge.said(answer.json) === word
      ? undefined
      : refuse(`${answer.request} did not give the challenge back`);
  } catch (error) {
    if (error instanceof ConnectorFault) return refuse(error.message);
    throw error;
  } finally {
    await opened.close();
  }
}
