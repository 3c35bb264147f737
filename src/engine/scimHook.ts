/**
 * A source's hook and its pushes. A push is one transaction, and a hook must never be called inside one: so a push that
 * has something to ask is given up, its questions are asked while nothing is held, and it is done again with the answers.
 *
 * Law: an answer is used only for a question that is the same in everything but the import that asks it; whoever changed
 * meanwhile is asked about again.
 *
 * Called by scimPush.ts.
 */
import type { Outcome } from "../core/types.ts";
import type { HookEvent, HookReply } from "./callHook.ts";
import type { ImportHook } from "./importHook.ts";
import type { World } from "./world.ts";

/** What the hook said, by what it was asked. */
export type HookAnswers = Map<string, Outcome<HookReply>>;

/** A push has questions that nobody has asked yet; its transaction is given up. The hook stays open for them. */
export class Unasked extends Error {
  readonly hook: ImportHook;
  readonly questions: readonly HookEvent[];
  constructor(hook: ImportHook, questions: readonly HookEvent[]) {
    super("the hook must be asked first");
    this.hook = hook;
    this.questions = questions;
  }
}

const nothing: Outcome<HookReply> = { ok: { body: undefined, answer: { commands: [], error: null } } };

function keyOf({ data }: HookEvent): string {
  const { context, ...rest } = data as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  return JSON.stringify([{ ...context, job: null }, rest]);
}

/** The hook as a transaction may have it: it knows the answers so far, and what it does not know it puts to `questions`. */
export function answered(hook: ImportHook, answers: HookAnswers, questions: HookEvent[]): ImportHook {
  const ask = async (event: HookEvent) => {
    const answer = answers.get(keyOf(event));
    if (answer === undefined) questions.push(event);
    return answer ?? nothing;
  };
  return { ...hook, open: { ...hook.open, ask } };
}

/** A caller waits no longer than a minute. */
const hook_ms = 20_000;

/** Asks what was not asked, and closes the hook. */
export async function askNow(world: World, { hook, questions }: Unasked, answers: HookAnswers): Promise<void> {
  const signal = world.deadline(new Date(world.now().getTime() + hook_ms));
  try {
    await Promise.all(
      questions.map(async (event) => {
        const answer = await hook.open.ask(event, { again: true, signal }).catch((error: unknown) => {
          if (!signal.aborted) throw error;
          return { refused: `it took longer than ${hook_ms / 1000} seconds`, code: "unavailable" } as const;
        });
        answers.set(keyOf(event), answer);
      }),
    );
  } finally {
    await hook.open.close();
  }
}
