/** What would become of a person's groups and accounts, as text: for a person who is there, and for one to be made. */
import { plain, print } from "./output.ts";
import { type Reason, wordsOf } from "./why.ts";

type Move = Readonly<{ group: string; rule: string }>;

/** As the API gives it (engine/preview.ts). */
export type Preview = Readonly<{
  groups: Readonly<{ join: readonly Move[]; leave: readonly Move[] }>;
  steps: readonly Readonly<{
    app: string;
    rune: string;
    step: string;
    enabled: boolean | null;
    changes: readonly Readonly<{ attribute: string; before: unknown; after: unknown; expression: string | null }>[];
    why: readonly Reason[];
    problems: readonly string[];
  }>[];
}>;

/** Prints it, a line for each group, app, value and reason. */
export function printPreview({ groups, steps }: Preview): void {
  for (const { group, rule } of groups.join) print(`  joins group ${plain(group)} by rule ${plain(rule)}`);
  for (const { group, rule } of groups.leave)
    print(`  leaves group ${plain(group)}: rule ${plain(rule)} no longer matches`);
  for (const step of steps) {
    print(`  ${step.rune} ${plain(step.app)}: ${step.step}${step.enabled === false ? " (disabled)" : ""}`);
    for (const change of step.changes) {
      const how = change.expression === null ? "" : `   by ${plain(change.expression)}`;
      print(`      ${plain(change.attribute)}: ${shown(change.before)} -> ${shown(change.after)}${how}`);
    }
    for (const reason of step.why) print(`      because ${wordsOf(reason)}`);
    for (const problem of step.problems) print(`      problem: ${plain(problem)}`);
  }
  if (steps.length === 0) print("  no app concerns this person");
}

const shown = (value: unknown) => (value === null || value === undefined ? "nothing" : plain(value));
