/**
 * Bare calls: what an undici pool can do against a target when nothing else has to be done. The ceiling of the benchmarks
 * of provisioning.
 */
import { Pool } from "undici";
import type { Target } from "./target.ts";

/** `path` below the target's base; `body` as it is sent. */
export type Call = Readonly<{ method: "GET" | "POST" | "PATCH"; path: string; body?: string }>;

/** Makes all calls, `concurrency` at a time, as fast as they go. Gives the seconds it took; an answer above 299 is an error. */
export async function callAll(target: Target, concurrency: number, calls: readonly Call[]): Promise<number> {
  const { origin, pathname } = new URL(target.url);
  const pool = new Pool(origin, { connections: concurrency, pipelining: 1 });
  const headers = {
    authorization: `Bearer ${target.token}`,
    "content-type": "application/scim+json",
    accept: "application/scim+json",
  };
  let next = 0;
  const caller = async () => {
    for (let call = calls[next++]; call !== undefined; call = calls[next++]) {
      const { method, path, body = null } = call;
      const answer = await pool.request({ method, path: `${pathname}${path}`, headers, body });
      await answer.body.text();
      if (answer.statusCode > 299) throw new Error(`the target answered ${answer.statusCode} to ${method} ${path}`);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: concurrency }, caller));
  const seconds = (performance.now() - began) / 1000;
  await pool.close();
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
