/**
 * Inline hooks as data: which kinds there are, what a hook is told, and what its answer means.
 *
 * Laws: an answer is believed whole or not at all, so a command that nobody knows makes it no answer; nothing said is
 * "go on"; what an answer may change is named here, and the rest of the row or of the sign-in is as it was.
 *
 * Called by directory/inlineHooks.ts, engine/importHook.ts and the server.
 */
import { setOwn } from "./profile.ts";
import type { Outcome, Profile, Value } from "./types.ts";

export const import_hook = "com.okta.import.transform";
export const password_hook = "com.okta.user.credential.password.import";

/** Every type that can be kept. Tokens, telephony and registration are not served: such hooks are only called by hand. */
export const inline_hook_types: readonly string[] = [
  import_hook,
  "com.okta.oauth2.tokens.transform",
  "com.okta.saml.tokens.transform",
  "com.okta.telephony.provider",
  password_hook,
  "com.okta.user.pre-registration",
];

/** What a hook is told: an event around `data`. `event_id` is the same when it is told again. */
export function hookEvent(
  event: Readonly<{ source: string; event_id: string; at: Date; type: string; data: Value }>,
): Readonly<Record<string, Value>> {
  return {
    source: event.source,
    eventId: event.event_id,
    eventTime: event.at.toISOString(),
    eventTypeVersion: "1.0",
    cloudEventVersion: "0.1",
    contentType: "application/json",
    eventType: event.type,
    data: event.data,
  };
}

export type HookCommand = Readonly<{ type: string; value: Value }>;

/** `error`: the hook says no, and why. */
export type HookAnswer = Readonly<{ commands: readonly HookCommand[]; error: string | null }>;

const commands_max = 100;
const error_max = 500;

type Tree = Readonly<Record<string, Value>>;
const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);
const own = (tree: Tree, name: string): Value | undefined => (Object.hasOwn(tree, name) ? tree[name] : undefined);
const invalid = (refused: string): Outcome<never> => ({ refused, code: "invalid" });

/** Reads an answer's body; undefined: there was none. */
export function readAnswer(body: unknown): Outcome<HookAnswer> {
  if (body === undefined) return { ok: { commands: [], error: null } };
  if (!isTree(body)) return invalid("the answer is no JSON object");
  const [error, commands] = [own(body, "error"), own(body, "commands")];
  if (error !== undefined && error !== null) return { ok: { commands: [], error: errorOf(error) } };
  if (commands === undefined || commands === null) return { ok: { commands: [], error: null } };
  if (!Array.isArray(commands) || commands.length > commands_max) {
    return invalid(`commands: is no list of at most ${commands_max}`);
  }
  const read: HookCommand[] = [];
  for (const [n, command] of commands.entries()) {
    const type = isTree(command) ? own(command, "type") : undefined;
    if (!isTree(command) || typeof type !== "string") return invalid(`commands[${n}].type: is missing`);
    read.push({ type, value: own(command, "value") ?? null });
  }
  return { ok: { commands: read, error: null } };
}

function errorOf(error: Value): string {
  const summary = isTree(error) ? own(error, "errorSummary") : error;
  const text = typeof summary === "string" ? summary.trim() : "";
  return text === "" ? "the hook gave no reason" : text.slice(0, error_max);
}

/** What an answer changes of a row of a source. `action` and `user_id`: absent where the hook leaves that to us. */
export type ImportChange = Readonly<{
  /** Values of the row itself, which the mapping then reads. */
  row: Profile;
  /** Values of the person, after the mapping. */
  user: Profile;
  action?: "CREATE_USER" | "LINK_USER";
  user_id?: string;
}>;

/** What the commands of an import hook say. Refuses what is no such command, naming it. */
export function importChange(commands: readonly HookCommand[]): Outcome<ImportChange> {
  const [row, user]: [Record<string, Value>, Record<string, Value>] = [{}, {}];
  let action: ImportChange["action"];
  let user_id: string | undefined;
  for (const [n, { type, value }] of commands.entries()) {
    const bad = (what: string) => invalid(`commands[${n}] (${type.slice(0, 100)}): ${what}`);
    if (!isTree(value)) return bad("value is no object");
    if (type === "com.okta.appUser.profile.update")
      for (const name of Object.keys(value)) setOwn(row, name, value[name] ?? null);
    else if (type === "com.okta.user.profile.update")
      for (const name of Object.keys(value)) setOwn(user, name, value[name] ?? null);
    else if (type === "com.okta.action.update") {
      const result = own(value, "result");
      if (result !== "CREATE_USER" && result !== "LINK_USER") return bad("value.result is CREATE_USER or LINK_USER");
      action = result;
    } else if (type === "com.okta.user.update") {
      const id = own(value, "id");
      if (typeof id !== "string" || id === "" || id.length > 100) return bad("value.id is no id of a user");
      user_id = id;
    } else return bad("there is no such command for an import");
  }
  return { ok: { row, user, ...(action ? { action } : {}), ...(user_id ? { user_id } : {}) } };
}

/** Does the answer of a password hook say that the password is right? The last word counts; silence is no. */
export function saysVerified(commands: readonly HookCommand[]): boolean {
  const words = commands.flatMap(({ type, value }) =>
    type === "com.okta.action.update" && isTree(value) ? [own(value, "credential")] : [],
  );
  return words.at(-1) === "VERIFIED";
}
