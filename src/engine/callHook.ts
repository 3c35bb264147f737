/**
 * Calling an inline hook: its secret is unsealed, a token fetched where it wants one, the event sent, and the answer read.
 *
 * Laws: 3 seconds a call, one more try when there was no answer or a 5xx, and never inside a transaction. A hook that
 * does not answer is an outcome, not an error. What is told of it holds neither what was sent nor what came back.
 *
 * Called by importHook.ts and passwordHook.ts, and by the server for a try.
 */
import { ConnectorFault, type Secret } from "../connectors/connector.ts";
import type { HttpAnswer } from "../connectors/http.ts";
import type { Webhook } from "../connectors/webhook.ts";
import { type HookAnswer, readAnswer } from "../core/inlineHook.ts";
import type { Outcome, Refusal, Value } from "../core/types.ts";
import { type Command, log } from "../directory/command.ts";
import { hookSecretPlace, hookTarget, type InlineHook } from "../directory/inlineHooks.ts";
import type { NewEvent } from "../store/log.ts";
import type { World } from "./world.ts";

/** `again`: once more when it does not answer. `signal`: nobody waits for the answer any more. */
export type Asking = Readonly<{ again: boolean; signal?: AbortSignal }>;

/** The answer as it came and as it is read. `body`: undefined when there was none. */
export type HookReply = Readonly<{ body: unknown; answer: HookAnswer }>;

export type HookEvent = Readonly<Record<string, Value>>;

/** A hook that is ready to be called. */
export type OpenHook = Readonly<{
  hook: InlineHook;
  ask(event: HookEvent, asking: Asking): Promise<Outcome<HookReply>>;
  close(): Promise<void>;
}>;

type HookWorld = Pick<World, "webhook" | "secret" | "now">;

/** Why an address can never be called, or undefined. Calls nobody. */
export function addressProblem(world: HookWorld, url: string): string | undefined {
  try {
    void world.webhook({ url }).close();
    return undefined;
  } catch (error) {
    if (error instanceof ConnectorFault) return error.message;
    throw error;
  }
}

/** Opens a hook for so many calls at a time. Refuses one that can never be called, saying what to mend. */
export async function openHook(world: HookWorld, hook: InlineHook, concurrency = 1): Promise<Outcome<OpenHook>> {
  const { channel } = hook;
  const unsendable = [...channel.headers.map(({ key }) => key), channel.auth_header ?? "x"].find(
    (name) => !token.test(name),
  );
  if (unsendable !== undefined) return unavailable(`"${unsendable}" is no name of a header: rename it in the hook`);
  try {
    const secret = await world.secret(hookSecretPlace(hook.id));
    const line = world.webhook({
      url: channel.uri,
      headers: Object.fromEntries(channel.headers.map(({ key, value }) => [key, value])),
      ...(channel.auth_header !== null && secret ? { secrets: { [channel.auth_header]: secret } } : {}),
      concurrency,
    });
    const tokens = tokenSource(world, hook, secret);
    const ask = (event: HookEvent, asking: Asking) => askTwice(line, tokens, event, asking);
    const close = async () => void (await Promise.allSettled([line.close(), tokens.close()]));
    return { ok: Object.freeze({ hook, ask, close }) };
  } catch (error) {
    return unavailable(wordsOf(error));
  }
}

/** RFC 9110: what a header may be called. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const unavailable = (refused: string): Refusal => ({ refused, code: "unavailable" });

function wordsOf(error: unknown): string {
  if (error instanceof ConnectorFault) return error.message;
  throw error;
}

/** No answer, and whether it may help to ask again. */
class Unanswered extends Error {
  readonly again: boolean;

  constructor(message: string, again: boolean) {
    super(message);
    this.name = "Unanswered";
    this.again = again;
  }
}

async function askTwice(
  line: Webhook,
  tokens: TokenSource,
  event: HookEvent,
  { again, signal }: Asking,
): Promise<Outcome<HookReply>> {
  for (let left = again ? 1 : 0; ; left--) {
    try {
      const headers = await tokens.headers(signal);
      const answer = await line.call({ method: "POST", json: event, headers, ...(signal ? { signal } : {}) });
      if (answer.status === 401) tokens.forget();
      return readReply(answer);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      const retry =
        error instanceof Unanswered ? error.again : error instanceof ConnectorFault && error.kind === "retry";
      if (left > 0 && retry) continue;
      return unavailable(error instanceof Unanswered ? error.message : wordsOf(error));
    }
  }
}

/** @throws Unanswered when the status is no success. */
function readReply(answer: HttpAnswer): Outcome<HookReply> {
  const { request, status } = answer;
  if (status < 200 || status >= 300)
    throw new Unanswered(`${request} answered ${status}`, status >= 500 || status === 401);
  if (answer.text.trim() === "") return { ok: { body: undefined, answer: { commands: [], error: null } } };
  if (answer.json === undefined) return unavailable(`${request} answered what is no JSON`);
  const read = readAnswer(answer.json);
  if ("refused" in read) return unavailable(`${request}: ${read.refused}`);
  return { ok: { body: answer.json, answer: read.ok } };
}

/** Where the token of a hook comes from. */
type TokenSource = Readonly<{
  headers(signal?: AbortSignal): Promise<Readonly<Record<string, string>>>;
  forget(): void;
  close(): Promise<void>;
}>;

/** A token is used until this long before it ends, and never for longer than an hour. */
const token_margin_ms = 30_000;
const token_max_ms = 3_600_000;
const token_default_s = 300;

/** Fetches tokens with the client's secret (OAUTH), one for many calls; nothing where the hook wants none. */
function tokenSource(world: HookWorld, { channel: { oauth } }: InlineHook, secret: Secret | undefined): TokenSource {
  if (oauth === null) return { headers: async () => ({}), forget: () => {}, close: async () => {} };
  const line = world.webhook({ url: oauth.token_url });
  let known: Promise<Readonly<{ token: string; until_ms: number }>> | undefined;
  const fetched = async (signal: AbortSignal | undefined) => {
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: oauth.client_id,
      client_secret: secret?.reveal() ?? "",
      ...(oauth.scope === null ? {} : { scope: oauth.scope }),
    });
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const answer = await line.call({ method: "POST", text: String(form), headers, ...(signal ? { signal } : {}) });
    const { access_token, expires_in } = (answer.json ?? {}) as Readonly<Record<string, unknown>>;
    const good =
      answer.status === 200 && typeof access_token === "string" && /^[\x21-\x7e]{1,8192}$/.test(access_token);
    if (!good)
      throw new Unanswered(`${answer.request} answered ${answer.status} without a token`, answer.status >= 500);
    const life_ms = (typeof expires_in === "number" && expires_in > 0 ? expires_in : token_default_s) * 1000;
    const until_ms = world.now().getTime() + Math.min(life_ms, token_max_ms) - token_margin_ms;
    return { token: access_token, until_ms };
  };
  return {
    headers: async (signal) => {
      if (known !== undefined && (await known).until_ms <= world.now().getTime()) known = undefined;
      known ??= fetched(signal).catch((error: unknown) => {
        known = undefined;
        throw error;
      });
      return { authorization: `Bearer ${(await known).token}` };
    },
    forget: () => {
      known = undefined;
    },
    close: () => line.close(),
  };
}

/** The event of one call in the log. */
export function hookCalled(
  hook: InlineHook,
  outcome: Outcome<HookReply>,
  detail: HookEvent = {},
): Omit<NewEvent, "actor" | "cause"> {
  const reason = "refused" in outcome ? outcome.refused : outcome.ok.answer.error;
  return {
    type: "inline_hook.executed",
    targets: [hookTarget(hook)],
    ...(reason === null ? {} : { outcome: "FAILURE", reason }),
    detail: { type: hook.type, ...detail },
  };
}

/** Calls a hook with a payload that somebody wrote, to try it. Gives what it answered, as it came. */
export async function executeHook(
  world: HookWorld,
  command: Command,
  hook: InlineHook,
  payload: HookEvent,
): Promise<unknown> {
  const opened = await openHook(world, hook);
  if ("refused" in opened) return refusedCall(hook, opened);
  const outcome = await opened.ok.ask(payload, { again: true }).finally(() => opened.ok.close());
  await log(command, hookCalled(hook, outcome));
  return "refused" in outcome ? refusedCall(hook, outcome) : (outcome.ok.body ?? {});
}

const refusedCall = ({ name }: InlineHook, { refused }: Refusal): Refusal => ({
  refused: `${name} gave no answer: ${refused}`,
  code: "invalid",
});
