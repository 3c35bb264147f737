/**
 * How fast a whole company is cut off from an app: all N people leave, in batches of a transaction each; from the last
 * mark to the last account disabled and confirmed. The ceiling is the same PATCHes by a bare undici pool.
 */
import { transitionUsers } from "../src/directory/userLifecycle.ts";
import type { Bench } from "./frame/bench.ts";
import { type Call, callAll, usersOf } from "./frame/calls.ts";
import { assigned, commandOf, everyoneIn, expectAccounts, must, work } from "./frame/engine.ts";
import type { Ground } from "./frame/ground.ts";
import { type Metered, measure } from "./frame/meter.ts";
import { median, spread } from "./frame/stats.ts";
import { spawnTarget, type Target } from "./frame/target.ts";

const concurrency = 16;
const batch = 5_000;
const patch_urn = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

type Run = Readonly<{ worked: Metered<unknown>; commands_s: number; ceiling_s: number }>;

export const bench: Bench = {
  name: "disable",
  about: "everyone leaves, to the last account disabled and confirmed",
  default_size: 20_000,
  run: async (ground, { size, runs, say }) => {
    const target = await spawnTarget();
    try {
      const all: Run[] = [];
      for (let run = 1; run <= runs; run++) {
        const one = await leave(run === 1 ? ground : await ground.fresh(), target, size);
        all.push(one);
        say(`run ${run}: ${Math.round(size / one.worked.seconds)} accounts/s`);
      }
      const seconds = median(all.map((one) => one.worked.seconds));
      const middle = all.find((one) => one.worked.seconds === seconds)?.worked;
      const ceiling_s = median(all.map((one) => one.ceiling_s));
      return {
        size,
        seconds,
        rate: size / seconds,
        ceiling_rate: size / ceiling_s,
        ratio: ceiling_s / seconds,
        rss_peak_mb: Math.max(...all.map((one) => one.worked.rss_peak_mb)),
        cpu_node_s: middle?.cpu_node_s ?? 0,
        cpu_postgres_s: middle?.cpu_postgres_s ?? null,
        rates: spread(all.map((one) => size / one.worked.seconds)),
        command_rate: size / median(all.map((one) => one.commands_s)),
        concurrency,
      };
    } finally {
      await target.stop();
    }
  },
};

async function leave(ground: Ground, target: Target, size: number): Promise<Run> {
  const { key, app_id } = await assigned(ground, target, { size, concurrency });
  await work(ground, key);
  const commanded = await measure(ground, async () => {
    const ids = await everyoneIn(ground.db);
    for (let from = 0; from < ids.length; from += batch) {
      await must(transitionUsers(commandOf(ground.db), ids.slice(from, from + batch), { kind: "deactivate" }));
    }
  });
  const worked = await measure(ground, () => work(ground, key));
  await expectAccounts(ground.db, app_id, 0);
  const { active } = await target.counts();
  if (active !== 0) throw new Error(`${active} accounts are still enabled`);
  return { worked, commands_s: commanded.seconds, ceiling_s: await bare(target) };
}

async function bare(target: Target): Promise<number> {
  const patches = (await usersOf(target)).map(({ id }): Call => {
    const body = { schemas: [patch_urn], Operations: [{ op: "replace", path: "active", value: false }] };
    return { method: "PATCH", path: `/Users/${id}`, body: JSON.stringify(body) };
  });
  return callAll(target, concurrency, patches);
}
