/**
 * How fast a change of everyone reaches an app: one attribute of all N people changes, as an import does it, in batches
 * of a transaction each; from the last mark to the last account confirmed. Every change is a PATCH and, as the app's
 * profile asks for, a look at what became of it. The ceiling is the same PATCHes by a bare undici pool.
 */
import { updateUsersEach } from "../src/directory/users.ts";
import type { Bench } from "./frame/bench.ts";
import { type Call, callAll, usersOf } from "./frame/calls.ts";
import { assigned, commandOf, everyoneIn, expectAccounts, must, work } from "./frame/engine.ts";
import type { Ground } from "./frame/ground.ts";
import { measure } from "./frame/meter.ts";
import { median, spread } from "./frame/stats.ts";
import { spawnTarget, type Target } from "./frame/target.ts";

const concurrency = 16;
const batch = 5_000;
const patch_urn = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

export const bench: Bench = {
  name: "update",
  about: "one attribute of everyone changes, to the last account confirmed",
  default_size: 20_000,
  run: async (ground, { size, runs, say }) => {
    const target = await spawnTarget();
    try {
      const { key, app_id } = await assigned(ground, target, { size, concurrency });
      await work(ground, key);
      const all = [];
      const ceilings: number[] = [];
      let commands_s = 0;
      for (let run = 1; run <= runs; run++) {
        const commanded = await measure(ground, () => changeEveryone(ground, `Grade ${run}`));
        commands_s = commanded.seconds;
        const worked = await measure(ground, () => work(ground, key));
        await expectAccounts(ground.db, app_id, size);
        await expectTitle(target, `Grade ${run}`, size);
        all.push(worked);
        ceilings.push(await bare(target));
        say(`run ${run}: ${Math.round(size / worked.seconds)} accounts/s`);
      }
      const seconds = median(all.map((one) => one.seconds));
      const middle = all.find((one) => one.seconds === seconds);
      const ceiling_s = median(ceilings);
      return {
        size,
        seconds,
        rate: size / seconds,
        ceiling_rate: size / ceiling_s,
        ratio: ceiling_s / seconds,
        rss_peak_mb: Math.max(...all.map((one) => one.rss_peak_mb)),
        cpu_node_s: middle?.cpu_node_s ?? 0,
        cpu_postgres_s: middle?.cpu_postgres_s ?? null,
        rates: spread(all.map((one) => size / one.seconds)),
        command_rate: size / commands_s,
        concurrency,
      };
    } finally {
      await target.stop();
    }
  },
};

async function changeEveryone(ground: Ground, title: string): Promise<void> {
  const ids = await everyoneIn(ground.db);
  for (let from = 0; from < ids.length; from += batch) {
    const some = ids.slice(from, from + batch).map((id) => ({ id, profile: { title } }));
    await must(updateUsersEach(commandOf(ground.db), some));
  }
}

async function expectTitle(target: Target, title: string, size: number): Promise<void> {
  const changed = (await usersOf(target)).filter((user) => user["title"] === title).length;
  if (changed !== size) throw new Error(`${changed} accounts have the new title, not ${size}`);
}

async function bare(target: Target): Promise<number> {
  const users = await usersOf(target);
  const patches = users.map(({ id, title }): Call => {
    const body = { schemas: [patch_urn], Operations: [{ op: "replace", path: "title", value: title }] };
    return { method: "PATCH", path: `/Users/${id}`, body: JSON.stringify(body) };
  });
  return callAll(target, concurrency, patches);
}
