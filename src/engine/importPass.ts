/**
 * The pass over what differs: chunk by chunk, each decided and applied in one go, whoever arrives before whoever leaves.
 * A dry run, and an import that is held, take the same pass and keep only what each row would become (importTry.ts).
 */
import type { Schema } from "../core/types.ts";
import { priority } from "../directory/command.ts";
import { userSchema } from "../directory/schemaQueries.ts";
import { poolOf } from "../store/database.ts";
import { loadSourceLines } from "./company.ts";
import type { ImportRun } from "./import.ts";
import { applyArrivals, applyLeavers } from "./importApply.ts";
import { type ChangeCounts, dropRenumbered, nextArriving, nextLeaving } from "./importChanges.ts";
import { decideChunk, type Lines, prepareChunk } from "./importDecide.ts";
import { hasDecisions } from "./importDecisions.ts";
import { asked_size, askImportHook, type ImportHook, openImportHook, unheard } from "./importHook.ts";
import { type Chunk, workInLanes } from "./importLanes.ts";
import { type Matching, openMatching } from "./importMatch.ts";
import { type Claims, tryArrivals, tryLeavers } from "./importTry.ts";

/** A run and what decides about all its rows. */
export type ImportPlan = Readonly<{
  run: ImportRun;
  lines: Lines;
  schema: Schema;
  matching: Matching;
  /** How soon the engine looks at whom the import changes. */
  urgency: number;
  /** Strangers are created in the hope that nobody has their login (importDecide.ts), until somebody has. */
  hope: { holds: boolean };
  /** People have decided about rows that waited. */
  decisions: boolean;
  /** Who is asked about strangers. */
  hook: ImportHook | undefined;
}>;

/** Rows of a transaction: at 90 microseconds each it holds its locks for a tenth of a second. */
export const chunk_size = 1_000;
/** Two keep the processors of a small machine busy while the third's commit is on its way to the disk. */
const lanes_max = 3;
/** An import that changes more people than these is a wave, which single changes need not wait for. */
const wave_min = 1_000;
/** Below every line, also of those who vanished. */
const first_line = -2_147_483_648;

/**
 * Decides every row that differs, and applies it unless `dry`. Ends between two chunks when the signal says so. Gives what
 * people should know of it, if anything.
 */
export async function passChanges(
  run: ImportRun,
  counts: ChangeCounts,
  dry: boolean,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { db } = run.world;
  const total = counts.arriving + counts.leaving;
  if (total === 0) return undefined;
  const matching = { import_id: run.id, app_id: run.app_id, match_on: run.sourcing.match_on };
  await openMatching(db, matching);
  const [lines, schema] = [await loadSourceLines(db, run.app_id), await userSchema(db)];
  const urgency = total > wave_min ? priority.wave : priority.change;
  const hook = await openImportHook(run);
  // A hook is told whom a row matches, so they are looked for first.
  const decisions = await hasDecisions(run);
  const sure = run.sourcing.auto_confirm_new !== false && !decisions;
  const hope = { holds: hook === undefined && sure };
  const plan: ImportPlan = { run, lines, schema, matching, urgency, hope, hook, decisions };
  let done = 0;
  const tell = (rows: number) => {
    done += rows;
    run.request.onProgress?.({ id: run.id, phase: dry ? "deciding" : "applying", done, total });
  };
  // A database in memory has one connection; a trial goes by the order of the rows; and what a hook makes of a row is not
  // known when its chunk is let in.
  // So it is with whom a person has linked a row to.
  const lanes = poolOf(db) === undefined || dry || decisions ? 1 : lanes_max;
  try {
    await workInLanes(hook === undefined ? lanes : 1, signal, arriving(plan, dry, { tell, signal }));
  } finally {
    await hook?.open.close();
  }
  counts.renumbered = await dropRenumbered(db, run.id);
  await workInLanes(lanes, signal, leaving(plan, dry, tell));
  return hook && unheard(hook);
}

type Watched = Readonly<{ tell: (rows: number) => void; signal: AbortSignal }>;

function arriving(plan: ImportPlan, dry: boolean, { tell, signal }: Watched): () => Promise<Chunk | undefined> {
  const { db } = plan.run.world;
  const claims: Claims = new Map();
  const size = plan.hook === undefined ? chunk_size : asked_size;
  let after = first_line;
  return async () => {
    const rows = await nextArriving(db, plan.run.id, after, size);
    if (rows.length === 0) return undefined;
    after = rows.at(-1)?.line ?? after;
    const { rows: mapped, keys } = await prepareChunk(plan, rows);
    const work = async () => {
      const first = await decideChunk(db, plan, mapped, { hope: plan.hope.holds });
      const decided = plan.hook === undefined ? first : await askImportHook(plan, plan.hook, first, signal);
      if (dry) await tryArrivals(plan, decided, claims);
      else await applyArrivals(plan, decided);
      tell(rows.length);
    };
    return { keys, work };
  };
}

function leaving(plan: ImportPlan, dry: boolean, tell: (rows: number) => void): () => Promise<Chunk | undefined> {
  const { db } = plan.run.world;
  let after = first_line;
  return async () => {
    const rows = await nextLeaving(db, plan.run.id, plan.run.app_id, after, chunk_size);
    if (rows.length === 0) return undefined;
    after = rows.at(-1)?.line ?? after;
    const work = async () => {
      if (dry) await tryLeavers(plan, rows);
      else await applyLeavers(plan, rows);
      tell(rows.length);
    };
    return { keys: new Set<string>(), work };
  };
}
