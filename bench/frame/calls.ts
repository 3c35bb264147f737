/**
 * Bare calls: what an undici pool can do against a target when nothing else has to be done. The ceiling of the benchmarks
 * of provisioning.
 */
import { Pool } from "undici";
import type { Target } from "./target.ts";

/** `path` below the target's base; `body` as it is sent. */
export type Call = Readonly<{ method: "GET" | "POST" | "PATCH"; path: string; body?: string }>;

/** An undici pool and nothing else. `ask` gives the text of the answer; one above 299 is an error. */
export function bareCaller(target: Target, concurrency: number) {
  const { origin, pathname } = new URL(target.url);
  const pool = new Pool(origin, { connections: concurrency, pipelining: 1 });
  const headers = {
    authorization: `Bearer ${target.token}`,
    "content-type": "application/scim+json",
    accept: "application/scim+json",
  };
  return {
    ask: async (call: Call): Promise<string> => {
      const { method, path, body = null } = call;
      const answer = await pool.request({ method, path: `${pathname}${path}`, headers, body });
      const text = await answer.body.text();
      if (answer.statusCode > 299) throw new Error(`the target answered ${answer.statusCode} to ${method} ${path}`);
      return text;
    },
    close: () => pool.close(),
  };
}

/** Makes all calls, `concurrency` at a time, as fast as they go. Gives the seconds it took. */
export async function callAll(target: Target, concurrency: number, calls: readonly Call[]): Promise<number> {
  const { ask, close } = bareCaller(target, concurrency);
  let next = 0;
  const caller = async () => {
    for (let call = calls[next++]; call !== undefined; call = calls[next++]) await ask(call);
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: concurrency }, caller));
  const seconds = (performance.now() - began) / 1000;
  await close();
  return seconds;
}

type Resource = Readonly<Record<string, unknown>> & Readonly<{ id: string }>;

/** All users that a target holds, page by page. */
export async function usersOf(target: Target): Promise<readonly Resource[]> {
  const page = 200;
  const { origin, pathname } = new URL(target.url);
  const pool = new Pool(origin, { connections: 1 });
  const headers = { authorization: `Bearer ${target.token}` };
  const users: Resource[] = [];
  for (let start = 1; ; start += page) {
    const path = `${pathname}/Users?startIndex=${start}&count=${page}`;
    const answer = await pool.request({ method: "GET", path, headers });
    const { Resources } = (await answer.body.json()) as { Resources: Resource[] };
    users.push(...Resources);
    if (Resources.length < page) break;
  }
  await pool.close();
  return users;
}
