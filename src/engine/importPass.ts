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
import { forgetLinked, namesOf, type Rivals } from "./importAlike.ts";
import { applyArrivals, applyLeavers } from "./importApply.ts";
import { type ChangeCounts, dropRenumbered, nextArriving, nextLeaving } from "./importChanges.ts";
import { type DecidedRow, decideChunk, type Lines, type MappedRow, prepareChunk } from "./importDecide.ts";
import { hasDecisions } from "./importDecisions.ts";
import { asked_size, askImportHook, type ImportHook, openImportHook, unheard } from "./importHook.ts";
import { type Chunk, workInLanes } from "./importLanes.ts";
import { type Matching, matchingOf, openMatching } from "./importMatch.ts";
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
  /** Who is only alike to whom, and what was put off because of it, over all rows. */
  rivals: Rivals;
  /** Who is asked about strangers. */
  hook: ImportHook | undefined;
}>;

/** Rows of a transaction: at 90 microseconds each it holds its locks for a fifth of a second. */
export const chunk_size = 2_000;
/**
 * With the next chunk being mapped, two keep the processors of a small machine busy. Three of 1,000 rows each, which took
 * turns at them, cost 8 % more of both processors.
 */
const lanes_max = 2;
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
  const matching = matchingOf(run);
  await openMatching(db, matching, matching.partial === null ? undefined : namesOf(matching));
  const [lines, schema] = [await loadSourceLines(db, run.app_id), await userSchema(db)];
  const urgency = total > wave_min ? priority.wave : priority.change;
  const hook = await openImportHook(run);
  // A hook is told whom a row matches, so they are looked for first.
  const decisions = await hasDecisions(run);
  const sure = run.sourcing.auto_confirm_new !== false && !decisions;
  const hope = { holds: hook === undefined && sure };
  const rivals: Rivals = { rows: new Map(), put_off: 0, settled: false };
  const plan: ImportPlan = { run, lines, schema, matching, urgency, hope, hook, decisions, rivals };
  let done = 0;
  const tell = (rows: number) => {
    done += rows;
    run.request.onProgress?.({ id: run.id, phase: dry ? "deciding" : "applying", done, total });
  };
  // A database in memory has one connection; a trial goes by the order of the rows; and what a hook makes of a row is not
  // known when its chunk is let in.
  // So it is with whom a person has linked a row to.
  const lanes = poolOf(db) === undefined || dry || decisions ? 1 : lanes_max;
  const next = arriving(plan, dry, { tell, signal });
  try {
    await workInLanes(hook === undefined ? lanes : 1, signal, next.all);
    if (rivals.put_off > 0) await workInLanes(1, signal, await settled(plan, next.putOff));
  } finally {
    await hook?.open.close();
  }
  counts.renumbered = await dropRenumbered(db, run.id);
  await workInLanes(lanes, signal, leaving(plan, dry, tell));
  return hook && unheard(hook);
}

/**
 * Can another row of the import be found to be the same person without a key in common, so that lanes do not keep them
 * apart (importLanes.ts)? So it is with those who are alike, and where there are several ways to match.
 */
const mayHaveRivals = ({ matching }: ImportPlan, verdict: DecidedRow["verdict"]): boolean =>
  "alike" in verdict || (matching.combinations.length > 1 && verdict.outcome === "link");

/** Lets the rows be decided that were put off, one by one: whoever was linked meanwhile is not alike to anybody any more. */
async function settled(plan: ImportPlan, next: NextChunk): Promise<NextChunk> {
  if (plan.matching.partial !== null) await forgetLinked(plan.run.world.db, plan.matching);
  plan.rivals.settled = true;
  return next;
}

type Watched = Readonly<{ tell: (rows: number) => void; signal: AbortSignal }>;
type NextChunk = () => Promise<Chunk | undefined>;

/** The chunks of all who arrive, and of those that were put off, when the others are done. */
function arriving(
  plan: ImportPlan,
  dry: boolean,
  { tell, signal }: Watched,
): Readonly<{ all: NextChunk; putOff: NextChunk }> {
  const { db } = plan.run.world;
  const claims: Claims = new Map();
  const size = plan.hook === undefined ? chunk_size : asked_size;
  const decide = async (mapped: readonly MappedRow[]) => {
    const all = await decideChunk(db, plan, mapped, { hope: plan.hope.holds });
    const first = plan.rivals.settled ? all : all.filter(({ verdict }) => !mayHaveRivals(plan, verdict));
    plan.rivals.put_off += all.length - first.length;
    const decided = plan.hook === undefined ? first : await askImportHook(plan, plan.hook, first, signal);
    if (dry) await tryArrivals(plan, decided, claims);
    else await applyArrivals(plan, decided);
    tell(decided.length);
  };
  const walk = (open: boolean): NextChunk => {
    let after = first_line;
    return async () => {
      const rows = await nextArriving(db, plan.run.id, { after, limit: size, open });
      if (rows.length === 0) return undefined;
      after = rows.at(-1)?.line ?? after;
      const { rows: mapped, keys } = await prepareChunk(plan, rows);
      return { keys, work: () => decide(mapped) };
    };
  };
  return { all: walk(false), putOff: walk(true) };
}

function leaving(plan: ImportPlan, dry: boolean, tell: (rows: number) => void): NextChunk {
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
