/**
 * What carrying things over goes by: one thing that is refused is told and does not stop the rest; a set that is refused is
 * cut in two until the one that is at fault stands alone; a server that is away ends it, and running it again goes on.
 */
import type { Client } from "../client.ts";
import { CliError, exit_codes } from "../errors.ts";
import { inLanes, type Stop, Stopped } from "./lanes.ts";
import { fold, type Kind } from "./organisation.ts";
import type { Read } from "./read.ts";

/** What was refused, and why. */
export type Failure = Readonly<{ kind: Kind; name: string; why: string }>;

export type Applying = Readonly<{
  client: Client;
  /** What is here, as it was read for the plan; ids of what is made are added. */
  ours: Read;
  stop: Stop;
  /** People who sign in there with a password are asked for it at their first sign-in here (password import hook). */
  ask_passwords: boolean;
  tell: (what: string, done: number, total: number) => void;
  failures: Failure[];
  /** How many calls did what they should, by kind; of sets how many of the set. */
  done: Map<Kind, number>;
}>;

const lanes = 8;

/** Is it this thing's fault, and not the server's or the way's? */
export function refusedWhy(error: unknown): string {
  if (error instanceof CliError && error.status !== undefined && error.exit_code !== exit_codes.unreachable) {
    if (error.status !== 401 && error.status !== 429) return error.message;
  }
  throw error;
}

/** Does one thing; gives what it gave, or undefined when it was refused, which is noted. `counts`: it is a thing of its own. */
export async function attempt<T>(
  applying: Applying,
  kind: Kind,
  name: string,
  work: () => Promise<T>,
  counts = true,
): Promise<T | undefined> {
  if (applying.stop.asked) throw new Stopped();
  try {
    const result = await work();
    if (counts) count(applying, kind, 1);
    return result;
  } catch (error) {
    applying.failures.push({ kind, name, why: refusedWhy(error) });
    return undefined;
  }
}

export function count({ done }: Applying, kind: Kind, n: number): void {
  done.set(kind, (done.get(kind) ?? 0) + n);
}

/** Each of them on its own, several at a time. */
export async function eachOf<T>(
  applying: Applying,
  kind: Kind,
  what: string,
  items: readonly T[],
  {
    name,
    work,
    width = lanes,
  }: Readonly<{ name: (one: T) => string; work: (one: T) => Promise<unknown>; width?: number }>,
): Promise<void> {
  let finished = 0;
  await inLanes(items, width, applying.stop, async (one) => {
    await attempt(applying, kind, name(one), () => work(one));
    applying.tell(what, ++finished, items.length);
  });
}

/** A set in one call; when it is refused, its halves, down to the one that is at fault. */
export async function inHalves<T>(
  applying: Applying,
  kind: Kind,
  items: readonly T[],
  { name, work }: Readonly<{ name: (one: T) => string; work: (some: readonly T[]) => Promise<unknown> }>,
): Promise<void> {
  const [first] = items;
  if (first === undefined) return;
  if (applying.stop.asked) throw new Stopped();
  try {
    await work(items);
    count(applying, kind, items.length);
  } catch (error) {
    const why = refusedWhy(error);
    // What the token may not do, it may not do to any half of them either.
    if (items.length === 1 || (error as CliError).status === 403) {
      for (const one of items) applying.failures.push({ kind, name: name(one), why });
      return;
    }
    const middle = items.length >> 1;
    await inHalves(applying, kind, items.slice(0, middle), { name, work });
    await inHalves(applying, kind, items.slice(middle), { name, work });
  }
}

/** Parts of a list. */
export function partsOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, n) => items.slice(n * size, (n + 1) * size));
}

/** Refuses what hangs on something that is not here, in the words of a refusal. */
export function needed(id: string | undefined, what: string): string {
  if (id !== undefined) return id;
  throw new CliError(exit_codes.refused, `${what} is not here`, 404);
}

export const personId = ({ ours }: Applying, login: string) => needed(ours.ids.people.get(fold(login)), login);
export const groupId = ({ ours }: Applying, key: string) => needed(ours.ids.groups.get(key), `the group ${key}`);
export const appId = ({ ours }: Applying, label: string) => needed(ours.ids.apps.get(fold(label)), `the app ${label}`);
