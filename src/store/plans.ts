/**
 * Plans that are kept: a statement that comes again and again with few values is prepared, so that PostgreSQL parses and
 * plans it once for each connection. Of what one push of a person costs PostgreSQL, planning was half: 16 clients over
 * SCIM created 232 people a second without, 353 with.
 *
 * Laws:
 * - Only small values count. A plan made for few rows is wrong for thousands, and for thousands planning costs nothing.
 * - A plan is made anew while its connection is in use, since it was made for tables as they were: of an empty one, it
 *   reads all.
 * - A table that was changed meanwhile, by a newer node that migrated, is asked anew; in a transaction, by whoever tries it
 *   again (isContention).
 * - Bounded: so many texts at all. What a client shapes (a search) is kept like any other when it is asked often.
 */
import type pg from "pg";
import { asking } from "./asking.ts";

/** So often within `window_ms`, and a text is worth its place. */
const often = 5;
const window_ms = 10_000;
const counted_max = 2_000;
/** A connection keeps 20 kB for each, a long statement 100. */
const kept_max = 200;
/** Longer lists, and longer texts, are no small values. */
const list_max = 64;
const text_max = 4_000;
const plan_again_ms = 20_000;

const names = new Map<string, string>();
let counts = new Map<string, number>();
let counted_from = 0;

/** Lets a connection keep plans; its statements are asked as before. `clock`: a time that only goes forward, in ms. */
export function keepPlans(client: pg.ClientBase, clock = (): number => performance.now()): void {
  const ask = asking(client);
  let planned_at = clock();
  // What was prepared for tables that have changed cannot be asked any more under its name.
  let generation = 0;
  const askNamed = async (text: string, values: readonly unknown[], name: string): Promise<unknown> => {
    if (clock() - planned_at > plan_again_ms) {
      planned_at = clock();
      // Fails in a transaction that has failed, like the statement after it, which will say so.
      await ask("discard plans").catch(() => {});
    }
    try {
      return await ask({ text, values, name: `${name}_${generation}` });
    } catch (error) {
      if (!isOutgrown(error)) throw error;
      generation += 1;
      return ask(text, values).catch(() => {
        throw error;
      });
    }
  };
  const query = (text: unknown, values?: unknown, ...more: unknown[]): unknown => {
    const plain = typeof text !== "string" || !Array.isArray(values) || values.length === 0 || more.length > 0;
    const name = plain || !areSmall(values) ? undefined : nameOf(text, clock());
    return plain || name === undefined ? ask(text, values, ...more) : askNamed(text, values, name);
  };
  Object.assign(client, { query });
}

/** 0A000: "cached plan must not change result type". Nothing was done. */
export function isOutgrown(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  return code === "0A000" && typeof message === "string" && message.startsWith("cached plan");
}

function areSmall(values: readonly unknown[]): boolean {
  return values.every((value) => {
    if (typeof value === "string") return value.length <= text_max;
    return !(Array.isArray(value) || Buffer.isBuffer(value)) || value.length <= list_max;
  });
}

function nameOf(text: string, now: number): string | undefined {
  const known = names.get(text);
  if (known !== undefined || names.size >= kept_max) return known;
  if (now - counted_from > window_ms || counts.size >= counted_max) {
    counts = new Map();
    counted_from = now;
  }
  const count = (counts.get(text) ?? 0) + 1;
  counts.set(text, count);
  if (count < often) return undefined;
  counts.delete(text);
  const name = `tenure_${names.size}`;
  names.set(text, name);
  return name;
}
