/**
 * What a preview tells of one app: counts of steps, counts and samples of attributes, the first accounts by name, and
 * what would go wrong. Bounded, however many accounts there are.
 */
import type { Change } from "../core/diff.ts";
import { sameValue } from "../core/diff.ts";
import type { MappingError } from "../core/mapping.ts";
import { rune, type Step } from "../core/plan.ts";
import type { Profile, Value, Want } from "../core/types.ts";
import type { Before } from "./previewPages.ts";

/** What would be done to an account. `local`: it is kept here only. `none`: want moves, and the app has it so already. */
export type StepWord = "create" | "update" | "enable" | "disable" | "delete" | "none" | "unsupported" | "local";

/** One account that would change. */
export type AccountChange = Readonly<{
  app: string;
  user_id: string;
  login: string;
  rune: string;
  step: StepWord;
  changes: readonly Change[];
}>;

export type AttributePreview = Readonly<{
  attribute: string;
  accounts: number;
  samples: readonly Readonly<{ login: string; before: Value; after: Value }>[];
}>;

/** A line that fails, or what the app cannot do. `attribute`: null for the latter. `login`: the first concerned. */
export type PreviewProblem = Readonly<{
  attribute: string | null;
  message: string;
  accounts: number;
  login: string;
}>;

/** `accounts`: assigned when it began; `looked`: how many were looked at; `moved`: of how many the want moves. */
export type AppPreview = Readonly<{
  app_id: string;
  app: string;
  accounts: number;
  looked: number;
  moved: number;
  steps: Readonly<Partial<Record<StepWord, number>>>;
  attributes: readonly AttributePreview[];
  first: readonly AccountChange[];
  problems: readonly PreviewProblem[];
  /** Labels of apps whose mappings read these accounts: what follows for them is not in here. */
  read_by: readonly string[];
  notes: readonly string[];
}>;

/** Counts one app. `move` tells what it counted. */
export type Tally = Readonly<{
  look(row: Before, errors: readonly MappingError[]): void;
  move(row: Before, want: Want, step: Step | "local"): AccountChange;
  note(text: string): void;
  done(): AppPreview;
}>;

const samples_max = 3;
const problems_max = 100;

type Counted = { accounts: number; samples: { login: string; before: Value; after: Value }[] };
type Problem = { attribute: string | null; message: string; accounts: number; login: string };

/** An empty tally of an app. */
export function newTally(
  app: Readonly<{ id: string; label: string }>,
  { accounts, first, read_by }: Readonly<{ accounts: number; first: number; read_by: readonly string[] }>,
): Tally {
  let looked = 0;
  let moved = 0;
  const steps = new Map<StepWord, number>();
  const attributes = new Map<string, Counted>();
  const named: AccountChange[] = [];
  const problems = new Map<string, Problem>();
  const notes: string[] = [];
  const complain = (attribute: string | null, message: string, login: string) => {
    const key = attribute ?? message;
    const known = problems.get(key);
    if (known) known.accounts++;
    else if (problems.size < problems_max) problems.set(key, { attribute, message, accounts: 1, login });
  };
  return {
    look: (row, errors) => {
      looked++;
      for (const error of errors) complain(error.attribute, error.message, row.login);
    },
    move: (row, want, step) => {
      moved++;
      const change = changeOf(app.label, row, want, step);
      steps.set(change.step, (steps.get(change.step) ?? 0) + 1);
      for (const one of change.changes) count(attributes, one, row.login);
      if (named.length < first) named.push(change);
      if (step !== "local" && step.kind === "unsupported")
        complain(null, `${app.label} does not offer ${step.missing}`, row.login);
      return change;
    },
    note: (text) => notes.push(text),
    done: () => ({
      ...{ app_id: app.id, app: app.label, accounts, looked, moved, read_by, notes, first: named },
      steps: Object.fromEntries(steps),
      attributes: [...attributes].map(([attribute, counted]) => ({ attribute, ...counted })),
      problems: [...problems.values()],
    }),
  };
}

function count(attributes: Map<string, Counted>, { attribute, before, after }: Change, login: string): void {
  let counted = attributes.get(attribute);
  if (counted === undefined) {
    counted = { accounts: 0, samples: [] };
    attributes.set(attribute, counted);
  }
  counted.accounts++;
  if (counted.samples.length < samples_max) counted.samples.push({ login, before, after });
}

function changeOf(
  app: string,
  { user_id, login, want: before }: Before,
  want: Want,
  step: Step | "local",
): AccountChange {
  const who = { app, user_id, login };
  if (step === "local") return { ...who, rune: "~", step, changes: differences(before?.profile ?? {}, want.profile) };
  return { ...who, rune: rune(step), step: wordOf(step), changes: changesOf(step) };
}

function wordOf(step: Step): StepWord {
  if (step.kind !== "update" || step.enabled === undefined) return step.kind;
  return step.enabled ? "enable" : "disable";
}

const none: readonly Change[] = [];

function changesOf(step: Step): readonly Change[] {
  if (step.kind === "update") return step.changes;
  if (step.kind !== "create") return none;
  return Object.entries(step.profile).map(([attribute, after]) => ({ attribute, before: null, after }));
}

function differences(before: Profile, after: Profile): readonly Change[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((attribute) => {
    const change = { attribute, before: before[attribute] ?? null, after: after[attribute] ?? null };
    return sameValue(change.before, change.after) ? [] : [change];
  });
}
