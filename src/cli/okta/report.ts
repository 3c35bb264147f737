/** What `tenure okta-import` tells people: the plan as a table, what a person must do, and what was refused. */
import { plain, print, table } from "../output.ts";
import type { Applying } from "./applying.ts";
import { kinds } from "./organisation.ts";
import type { Plan } from "./plan.ts";
import { type Note, type Outcome, outcomes } from "./tally.ts";

const titles: Readonly<Record<Outcome, string>> = {
  create: "CREATE",
  change: "CHANGE",
  same: "SAME",
  follows: "BY ITSELF",
  credential: "CREDENTIAL",
  unsupported: "NOT SUPPORTED",
  only_here: "ONLY HERE",
};

/** Notes of a kind are told one by one up to here; --json has them all. */
const shown_max = 20;

/** The plan for people. */
export function printPlan({ counts, notes }: Plan): void {
  const used = kinds.filter((kind) => outcomes.some((outcome) => counts[kind][outcome] > 0));
  const columns = outcomes.filter((outcome) => used.some((kind) => counts[kind][outcome] > 0));
  print(
    table(used, [
      ["KIND", (kind) => kind],
      ...columns.map((outcome) => [titles[outcome], (kind: (typeof used)[number]) => counts[kind][outcome]] as const),
    ]),
  );
  printNotes("Not supported, and left there:", notes, "unsupported");
  printNotes("Needs a credential, which only you can give:", notes, "credential");
}

function printNotes(title: string, notes: readonly Note[], outcome: Outcome): void {
  const some = notes.filter((note) => note.outcome === outcome);
  if (some.length === 0) return;
  print(`\n${title}`);
  for (const [kind, of_kind] of Map.groupBy(some, (note) => note.kind)) {
    for (const { name, why, command } of of_kind.slice(0, shown_max)) {
      print(`  ${kind} ${plain(name)}: ${plain(why)}`);
      if (command !== undefined) print(`    ${plain(command)}`);
    }
    if (of_kind.length > shown_max) print(`  and ${of_kind.length - shown_max} more of kind ${kind}: see --json`);
  }
}

/** What was carried over and what was refused. */
export function printApplied({ done, failures }: Pick<Applying, "done" | "failures">): void {
  const carried = kinds.flatMap((kind) => {
    const n = done.get(kind) ?? 0;
    return n > 0 ? [`${kind} ${n}`] : [];
  });
  print(`\nCarried over: ${carried.length === 0 ? "nothing" : carried.join(", ")}`);
  if (failures.length === 0) return;
  print(`\nRefused (${failures.length}); mend what is said and run it again, it goes on with what is left:`);
  for (const { kind, name, why } of failures.slice(0, shown_max * 5)) print(`  ${kind} ${plain(name)}: ${plain(why)}`);
  if (failures.length > shown_max * 5) print(`  and ${failures.length - shown_max * 5} more: see --json`);
}
