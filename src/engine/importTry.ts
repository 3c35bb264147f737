/**
 * Trying: a dry run, and an import that is held, do to each chunk of rows what an import does, in a transaction that is
 * then rolled back, and keep what would have become of each row. So it judges schemas, unique values, holds and other
 * sources exactly as the real one, because it is the real one.
 *
 * What a chunk took is free again for the next one, unlike in an import: the unique values that rows took are remembered
 * here, some tens of bytes for each new person. Called by importPass.ts.
 */
import type { Change } from "../core/diff.ts";
import type { Profile, Refusal, Schema, Value } from "../core/types.ts";
import { run as runCommand } from "../directory/command.ts";
import { uniqueAttributes } from "../directory/uniqueness.ts";
import { arrive, leave } from "./importApply.ts";
import type { LeavingRow } from "./importChanges.ts";
import type { DecidedRow } from "./importDecide.ts";
import type { ImportPlan } from "./importPass.ts";
import type { Applied } from "./importRecord.ts";
import { type Outcome, writeOutcomes } from "./importRows.ts";
import { placeOf } from "./importStage.ts";

/** Unique values that rows of this trial took: value → the row that has it now. */
export type Claims = Map<string, string>;

/** What is done, in the words of what would be. */
const words: Readonly<Record<string, string>> = {
  created: "create",
  updated: "update",
  linked: "link",
  returned: "return",
};

/** Tries a chunk of rows of people who are there, and of strangers. */
export async function tryArrivals(plan: ImportPlan, decided: readonly DecidedRow[], claims: Claims): Promise<void> {
  const { run, schema } = plan;
  const [free, doubles] = [[] as DecidedRow[], [] as Outcome[]];
  for (const one of decided) {
    const other = one.verdict.outcome === "create" ? holderOf(one, schema, claims) : undefined;
    if (other === undefined) free.push(one);
    else doubles.push(outcomeOf({ one, outcome: "refused", user_id: null, refusal: taken(other) }));
  }
  const applied = await rolledBack(plan, (running) => arrive(plan, running, free));
  for (const { one, user_id } of applied) if (user_id !== null) claim(one, schema, claims);
  await writeOutcomes(run.world.db, run.id, [...applied.map(outcomeOf), ...doubles]);
}

/** Tries a chunk of leavers. */
export async function tryLeavers(plan: ImportPlan, rows: readonly LeavingRow[]): Promise<void> {
  const { run } = plan;
  const { theirs, kept } = await rolledBack(plan, (running) => leave(run, running, rows));
  const outcomes = rows.map(({ line, external_id, user_id, place: at, outcome }): Outcome => {
    const [place, refusal] = [placeOf(external_id, at), kept.get(user_id)];
    const told = { line, external_id, user_id, place };
    if (refusal !== undefined) return { ...told, outcome: "skipped", detail: { place, reason: refusal.refused } };
    return { ...told, outcome: theirs.has(user_id) ? "outranked" : outcome };
  });
  await writeOutcomes(run.world.db, run.id, outcomes);
}

/** Does the work in a transaction and takes it back. */
async function rolledBack<T>(
  { run }: ImportPlan,
  work: (running: Parameters<typeof arrive>[1]) => Promise<T>,
): Promise<T> {
  let result: { value: T } | undefined;
  await runCommand<never>(run.command, async (running) => {
    result = { value: await work(running) };
    return { refused: "only tried", code: "stale" } satisfies Refusal;
  });
  if (result === undefined) throw new Error("a trial ended without a result");
  return result.value;
}

const keysOf = (profile: Profile, schema: Schema): readonly string[] =>
  uniqueAttributes(schema).flatMap(({ name, case_exact }) => {
    const value: Value | undefined = profile[name];
    if (typeof value !== "string" && typeof value !== "number") return [];
    const text = String(value);
    return text === "" ? [] : [`${name}: ${case_exact ? text : text.toLowerCase()}`];
  });

function holderOf(
  { row, profile }: DecidedRow,
  schema: Schema,
  claims: Claims,
): [key: string, row: string] | undefined {
  for (const key of keysOf(profile, schema)) {
    const holder = claims.get(key);
    if (holder !== undefined && holder !== row.external_id) return [key, holder];
  }
  return undefined;
}

function claim({ row, profile }: DecidedRow, schema: Schema, claims: Claims): void {
  for (const key of keysOf(profile, schema)) claims.set(key, row.external_id);
}

const taken = ([key, row]: readonly [string, string]): Refusal => ({
  refused: `${key} is taken by row ${row} of this source already: mend the source`,
  code: "duplicate",
});

/** What would become of a row, with the person it would make, or what would change of the one who is there. */
function outcomeOf({ one, outcome, user_id, refusal, changes }: Applied): Outcome {
  const { row, profile, verdict } = one;
  const { line, external_id, enabled, profile: text } = row;
  const place = placeOf(external_id, row.place);
  const told = { line, external_id, enabled, profile: text };
  const made = outcome === "created";
  if (refusal !== undefined) {
    const where = refusal.place === undefined ? "" : ` (${refusal.place})`;
    return {
      ...told,
      outcome,
      user_id: row.user_id,
      detail: { place, user: profile, reason: `${refusal.refused}${where}` },
    };
  }
  const why =
    "reason" in verdict && (user_id === null || verdict.outcome === "link")
      ? { ...verdict, outcome: undefined, alike: undefined }
      : {};
  return {
    ...told,
    outcome: words[outcome] ?? outcome,
    user_id: made ? null : (user_id ?? ("user_id" in verdict ? (verdict.user_id ?? null) : row.user_id)),
    detail: { place, user: profile, ...why, ...(changes === undefined ? {} : { changes: shown(changes) }) },
  };
}

const shown = (changes: readonly Change[]) =>
  Object.fromEntries(changes.map(({ attribute, before, after }) => [attribute, { before, after }]));
