/**
 * Evaluating due rules over everyone (directory/ruleDue.ts says when a rule is due). Set-wise, range by range of people,
 * level by level of rules: who differs from what the rules give is found without locks; those are locked in slices,
 * judged again, and the difference is written.
 *
 * Why nobody is left wrong, whatever happens meanwhile:
 * - A person who changes is marked dirty in the change's own transaction, and desire judges them by all rules, the due
 *   ones included: whoever knew a rule only as it was is through before its change can be seen (directory/gate.ts). So
 *   it does no harm when the search here, at an older state of the person, finds nothing to do.
 * - What is written was judged under the person's lock, which everybody takes who changes their profile, status, groups
 *   or exceptions. What else a closure may read (managers, accounts) marks dirty when it changes; so people moved by
 *   such a rule are always marked here, too, and judged once more by what is true then.
 * - Rules, and what is read of groups, cannot change inside a slice: it is in the gate. If they have changed since the
 *   evaluation began, the slice is undone, the rules are read again, and its range is begun anew.
 * - People moved in a group that an app or a mapping reads are marked dirty as a wave. Where nothing reads the group,
 *   nothing of theirs would come out differently.
 * - A node that dies keeps nothing but what it committed; its claim ends, and the next evaluation finds the rest.
 *
 * Called by the loop. A slice holds some thousand people for some tenths of a second; leavers wait for no more.
 */
import { levelsOf, withReaders } from "../core/rules.ts";
import { type Command, priority, type Running, wake } from "../directory/command.ts";
import { passGateAt } from "../directory/gate.ts";
import { lockPeople } from "../directory/locks.ts";
import { markDirtyEach } from "../directory/marks.ts";
import { type CheckedRule, loadCheckedRules } from "../directory/ruleChecks.ts";
import { type ClaimedRule, claimDueRules, releaseClaims, renewClaims } from "../directory/ruleDue.ts";
import { pairsOf, type Range, sqlRules } from "../directory/ruleSql.ts";
import { type Wave, type Written, writeWave } from "../directory/ruleWaves.ts";
import { sql, type Transaction, transact } from "../store/database.ts";
import { system } from "../store/log.ts";
import { type Company, loadCompany } from "./company.ts";
import { closureJudge, idsOf, type Judge, sqlJudge } from "./ruleJudges.ts";
import { tellPlannerOfMoves } from "./statistics.ts";
import type { World } from "./world.ts";

/** What an evaluation did. `rules`: how many were due. */
export type RuleEvaluation = Written & Readonly<{ rules: number }>;

/**
 * `range`, `slice`: people of a search and of a transaction. `lanes`: how many go on beside each other. `each_max`: moves
 * of one evaluation that are told one by one. `stopping`: whether to leave off.
 */
export type EvaluationOptions = Readonly<{
  range: number;
  slice: number;
  lanes: number;
  each_max: number;
  stopping: () => boolean;
}>;

const usual: EvaluationOptions = { range: 50_000, slice: 2_500, lanes: 2, each_max: 10_000, stopping: () => false };

/** Rules judged in one statement. */
const rules_max = 300;

/** A judge, and whether anything outside the rules reads the groups that its rules fill. */
type Step = Readonly<{ judge: Judge; marks: boolean }>;

/** What is to be asked of everyone, as the company was at a revision. `asks`: the claimed rules among it. */
type Plan = Readonly<{
  revision: number;
  steps: readonly Step[];
  causes: Wave["causes"];
  asks: readonly ClaimedRule[];
}>;

/** What an evaluation takes from outside. */
export type EvaluationWorld = Pick<World, "db" | "now" | "node" | "lease_ms">;

type State = {
  readonly world: EvaluationWorld;
  readonly command: Command;
  readonly options: EvaluationOptions;
  /** How many people there are, more or less. */
  readonly people: number;
  /** Where the next range begins, once the one before it has been cut; null: everyone is in a range. */
  after: Promise<string | null>;
  plan: Plan;
  /** The plan is being made again. */
  planning: Promise<void> | null;
  claimed_until: Date;
  /** Moves that may still be told one by one. */
  each_left: number;
  added: number;
  removed: number;
  /** Judges whose last range moved more than half of its people: searching first is not worth it. */
  readonly dense: Set<string>;
};

/** The company has changed since the plan was made. */
class Outdated extends Error {}

/** Evaluates all due rules that no other node is at; null: there are none. */
export async function evaluateRules(
  world: EvaluationWorld,
  given: Partial<EvaluationOptions> = {},
): Promise<RuleEvaluation | null> {
  const options = { ...usual, ...given };
  const command: Command = { db: world.db, now: () => world.now(), actor: system };
  const claimed_until = leaseOf(world);
  const claimed = await claimDueRules(command, world.node, claimed_until);
  if (claimed.length === 0) return null;
  let asked: readonly ClaimedRule[] = [];
  try {
    const plan = await makePlan(world, claimed);
    const people = await countPeople(world);
    const state: State = {
      ...{ world, command, options, people, after: Promise.resolve(""), plan, planning: null, claimed_until },
      ...{ each_left: options.each_max, added: 0, removed: 0, dense: new Set<string>() },
    };
    await Promise.all(Array.from({ length: options.lanes }, () => evaluateRanges(state)));
    if (!options.stopping()) asked = state.plan.asks;
    const { added, removed } = state;
    await tellPlannerOfMoves(world.db, added + removed);
    if (added + removed > 0) await wake(world.db);
    return { rules: claimed.length, added, removed };
  } finally {
    const done = new Set(asked.map((rule) => rule.id));
    await releaseClaims(command, world.node, asked, true);
    await releaseClaims(
      command,
      world.node,
      claimed.filter((rule) => !done.has(rule.id)),
      false,
    );
  }
}

const leaseOf = (world: EvaluationWorld) => new Date(world.now().getTime() + world.lease_ms);

/** As the planner knows it: only to tell early that a wave will be large. */
async function countPeople(world: EvaluationWorld): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select greatest(reltuples, 0)::float8 as n from pg_class where oid = 'users'::regclass`.execute(world.db);
  return rows[0]?.n ?? 0;
}

/** Cuts the next range; null: there is none. Who is created from now on is in the last one, or marked dirty. */
async function nextRange(state: State): Promise<Range | null> {
  const before = state.after;
  const cut = (async () => {
    const after = await before;
    if (after === null) return null;
    const { rows } = await sql<{ id: string }>`
      select id from users where id > ${after} order by id offset ${state.options.range - 1} limit 1`.execute(
      state.world.db,
    );
    return { after, to: rows[0]?.id ?? null };
  })();
  state.after = cut.then((range) => range?.to ?? null);
  // Whoever waits for the next range hears of a failure, too; here it must not be heard of twice.
  state.after.catch(() => {});
  return cut;
}

async function makePlan(world: EvaluationWorld, claimed: readonly ClaimedRule[]): Promise<Plan> {
  return world.db.transaction().execute(async (trx) => {
    const revision = await passGateAt({ db: trx });
    const company = await loadCompany(trx, world.now());
    const ordered = await loadCheckedRules(trx);
    const checked = new Map(ordered.map((rule) => [rule.ready.id, rule]));
    const due = new Map(claimed.map((rule) => [rule.id, rule]));
    const chosen = withReaders(
      ordered.map((rule) => rule.ready),
      new Set(due.keys()),
      (rule) => [...rule.targets, ...(checked.get(rule.id)?.left ?? [])],
    );
    const [first = null] = claimed.flatMap((rule) => rule.due_cause ?? []);
    const causeOf = (id: string) => due.get(id)?.due_cause ?? first;
    const levels = levelsOf(chosen).map((level) => level.flatMap((rule) => checked.get(rule.id) ?? []));
    return {
      revision,
      steps: stepsOf(company, levels, await exceptingRules(trx), world.now()),
      causes: new Map(chosen.map(({ id, name }) => [id, { name, cause: causeOf(id) }])),
      asks: claimed.filter(({ id, revision: at }) => checked.get(id)?.row.revision === at),
    };
  });
}

/** Rules that anybody is excepted from. */
async function exceptingRules(trx: Transaction): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ id: string }>`
    select r.id from rules r where exists (select from rule_exceptions x where x.rule_id = r.id)`.execute(trx);
  return new Set(rows.map((row) => row.id));
}

/** The judges of each level in order. */
function stepsOf(
  company: Company,
  levels: readonly (readonly CheckedRule[])[],
  excepting: ReadonlySet<string>,
  now: Date,
): readonly Step[] {
  const stale = pairsOf(levels.flat()).filter((pair) => !pair.filled);
  const surroundings = { now, org: company.org, stale, excepting };
  const isRead = readElsewhere(company);
  return levels.flatMap((level) => {
    const written = batches(level).map((some) => sqlRules(some, surroundings));
    const closures = level.filter(({ row }) => !written.some(({ conditions }) => conditions.has(row.id)));
    const judges = [
      ...written.filter(({ conditions }) => conditions.size > 0).map(sqlJudge),
      ...batches(closures).map((some) => closureJudge(company, some, stale, now)),
    ];
    return judges.map((judge) => ({ judge, marks: judge.watched || judge.groups.some(isRead) }));
  });
}

/** Parts of a level for one statement each. */
function batches(rules: readonly CheckedRule[]): readonly (readonly CheckedRule[])[] {
  return Array.from({ length: Math.ceil(rules.length / rules_max) }, (_, n) =>
    rules.slice(n * rules_max, (n + 1) * rules_max),
  );
}

/** Does an app's assignment or mapping read the group? */
function readElsewhere(company: Company): (group_id: string) => boolean {
  const assigned = new Set(company.apps.flatMap((app) => app.groups.map((group) => group.group_id)));
  return (group_id) => company.reads_groups || assigned.has(group_id);
}

/** One lane: range after range until none is left. */
async function evaluateRanges(state: State): Promise<void> {
  for (let range = await nextRange(state); range !== null; range = await nextRange(state)) {
    if (state.options.stopping()) return;
    await keepClaims(state);
    for (let plan = state.plan; ; plan = state.plan) {
      try {
        for (const [n, step] of plan.steps.entries()) await evaluateRange(state, plan, step, `${n}`, range);
        break;
      } catch (error) {
        if (!(error instanceof Outdated)) throw error;
        await planAgain(state, plan);
      }
    }
  }
}

async function keepClaims(state: State): Promise<void> {
  const { world, plan } = state;
  if (state.claimed_until.getTime() - world.now().getTime() > world.lease_ms / 2) return;
  state.claimed_until = leaseOf(world);
  const kept = await renewClaims(state.command, world.node, plan.asks, state.claimed_until);
  if (kept.length < plan.asks.length) await planAgain(state, plan);
}

/** Reads company and rules again. Rules that have changed are asked by the next evaluation, from the beginning. */
async function planAgain(state: State, old: Plan): Promise<void> {
  if (state.plan !== old) return;
  state.planning ??= (async () => {
    state.claimed_until = leaseOf(state.world);
    const kept = await renewClaims(state.command, state.world.node, old.asks, state.claimed_until);
    state.plan = await makePlan(state.world, kept);
    state.dense.clear();
  })().finally(() => {
    state.planning = null;
  });
  await state.planning;
}

async function evaluateRange(state: State, plan: Plan, step: Step, key: string, range: Range): Promise<void> {
  // Whoever is in a slice is marked, so where marks are needed only those who differ are taken.
  const dense = !step.marks && state.dense.has(key);
  const ids = await state.world.db.transaction().execute(async (trx) => {
    await alone(trx);
    return dense ? idsOf(trx, range) : step.judge.find(trx, range);
  });
  // As many in every range would be too many to tell one by one.
  if (ids.length * Math.max(1, state.people / state.options.range) > state.each_left) state.each_left = 0;
  let moved = 0;
  for (let from = 0; from < ids.length; from += state.options.slice) {
    moved += await writeSlice(state, plan, step, ids.slice(from, from + state.options.slice));
  }
  const half = state.options.range / 2;
  if (dense ? moved > half : ids.length > half) state.dense.add(key);
  else state.dense.delete(key);
}

/**
 * Without parallel workers in this transaction: the lanes go on beside each other already, and starting workers takes
 * 25 ms of a slice's 110.
 */
async function alone(trx: Transaction): Promise<void> {
  await sql`select set_config('max_parallel_workers_per_gather', '0', true)`.execute(trx);
}

/** Locks these people, judges them again and writes what differs; gives how many grants that were. */
async function writeSlice(state: State, plan: Plan, step: Step, ids: readonly string[]): Promise<number> {
  const { judge, marks } = step;
  const written = await transact<Written>(state.world.db, async (trx) => {
    const running: Running = { ...state.command, db: trx };
    await alone(trx);
    await lockPeople(trx, ids);
    if (marks) await markSlice(running, plan, ids);
    if ((await passGateAt(running)) !== plan.revision) throw new Outdated();
    const moves = await judge.moves(trx, ids);
    return writeWave(running, moves, { causes: plan.causes, each_max: state.each_left, mark: marks });
  });
  if ("refused" in written) throw new Error(written.refused);
  const moved = written.added + written.removed;
  state.added += written.added;
  state.removed += written.removed;
  state.each_left = moved > state.each_left ? 0 : state.each_left - moved;
  return moved;
}

/** Before the gate, where a command that marks many people might wait for this slice (the order of locks: locks.ts). */
async function markSlice(running: Running, plan: Plan, ids: readonly string[]): Promise<void> {
  const causes = [...plan.causes.values()].flatMap(({ cause }) => cause ?? []);
  const cause = causes.length === 0 ? null : Math.max(...causes);
  await markDirtyEach(
    running,
    ids.map((user_id) => ({ user_id, cause })),
    priority.wave,
  );
}
