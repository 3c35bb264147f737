/** What a plan counts and says while it is made (plan.ts, planApp.ts), and the comparisons that both share. */
import { covers, type Kind, kinds, type Tree } from "./organisation.ts";

/** What becomes of a thing. `follows`: it comes by itself, from a rule, a group or a mapping. */
export const outcomes = ["create", "change", "same", "follows", "credential", "unsupported", "only_here"] as const;
export type Outcome = (typeof outcomes)[number];
export type Counts = Record<Kind, Record<Outcome, number>>;

/** `command`: what to type to do by hand what cannot be carried over. */
export type Note = Readonly<{ kind: Kind; name: string; outcome: Outcome; why: string; command?: string }>;

/** Counts and notes while a plan is made. */
export type Tally = Readonly<{
  count: (kind: Kind, outcome: Outcome, n?: number) => void;
  note: (note: Note) => void;
}>;

/** An empty tally, and what it will hold. */
export function newTally(): Readonly<{ tally: Tally; counts: Counts; notes: Note[] }> {
  const counts = Object.fromEntries(
    kinds.map((kind) => [kind, Object.fromEntries(outcomes.map((outcome) => [outcome, 0]))]),
  ) as Counts;
  const notes: Note[] = [];
  const tally: Tally = {
    count: (kind, outcome, n = 1) => {
      counts[kind][outcome] += n;
    },
    note: (note) => {
      counts[note.kind][note.outcome]++;
      notes.push(note);
    },
  };
  return { tally, counts, notes };
}

/** Things by name. */
export function byName<T>(things: readonly T[], name: (one: T) => string): ReadonlyMap<string, T> {
  return new Map(things.map((one) => [name(one), one]));
}

/** Which attributes are to be defined. The type of one that is in use does not change. */
export function planAttributes(
  kind: Kind,
  of: string,
  theirs: Readonly<Record<string, Tree>>,
  ours: Readonly<Record<string, Tree>>,
  tally: Tally,
): Record<string, Tree> {
  const properties: [string, Tree][] = [];
  for (const [name, attribute] of Object.entries(theirs)) {
    const here = Object.hasOwn(ours, name) ? ours[name] : undefined;
    if (here === undefined) {
      tally.count(kind, "create");
      properties.push([name, attribute]);
    } else if (covers(here, attribute)) tally.count(kind, "same");
    else if (here["type"] !== attribute["type"]) {
      const why = `is ${attribute["type"]} there and ${here["type"]} here, and the type of an attribute does not change`;
      tally.note({ kind, name: `${of}: ${name}`, outcome: "unsupported", why });
    } else {
      tally.count(kind, "change");
      properties.push([name, attribute]);
    }
  }
  onlyHere(kind, Object.keys(theirs), Object.keys(ours), (name) => name, tally);
  return Object.fromEntries(properties);
}

/** Counts what only we have: it stays. */
export function onlyHere<T>(
  kind: Kind,
  theirs: readonly T[],
  ours: readonly T[],
  name: (one: T) => string,
  tally: Tally,
): void {
  const known = new Set(theirs.map(name));
  tally.count(kind, "only_here", ours.filter((one) => !known.has(name(one))).length);
}
