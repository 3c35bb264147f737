/**
 * How the demo speaks: to people as a calm narration, to programs as one JSON line per step. In JSON mode nothing but
 * those lines reaches stdout; whatever a person would want besides goes to stderr or nowhere.
 */
import process from "node:process";

/** What a step did. `accounts`: accounts it changed in the apps; `operations`: calls that Tenure made for it. */
export type StepReport = Readonly<{
  step: string;
  ok: boolean;
  ms: number;
  accounts: number;
  operations: number;
  /** Why it is not ok. */
  error?: string;
}>;

export type Narrator = Readonly<{
  /** A new chapter. */
  title(text: string): void;
  /** One line of what happens. */
  say(text: string): void;
  /** `who · app: attribute before → after`. */
  change(who: string, app: string, what: string, before: string, after: string): void;
  /** A quotation, such as what a command printed. */
  quote(text: string): void;
  /** Work under way; overwritten by the next one on a terminal, and silent elsewhere. */
  progress(text: string): void;
  /** The end of a step. */
  report(step: StepReport): void;
}>;

const colours = { bold: "1", dim: "2", red: "31", green: "32", cyan: "36" } as const;

/** A narrator for people, on stdout. Colours and progress only on a terminal that wants them. */
export function humanNarrator(): Narrator {
  const terminal = process.stdout.isTTY === true;
  const plain = !terminal || process.env["NO_COLOR"] !== undefined;
  const paint = (colour: keyof typeof colours, text: string) =>
    plain ? text : `\x1b[${colours[colour]}m${text}\x1b[0m`;
  let progressing = false;
  const line = (text: string) => {
    if (progressing) process.stdout.write("\r\x1b[K");
    progressing = false;
    process.stdout.write(`${text}\n`);
  };
  return {
    title: (text) => line(`\n${paint("bold", text)}`),
    say: (text) => line(`  ${text}`),
    change: (who, app, what, before, after) =>
      line(`  ${who} · ${paint("cyan", app)}: ${what} ${paint("dim", before)} → ${paint("bold", after)}`),
    quote: (text) => {
      for (const one of text.trimEnd().split("\n")) line(paint("dim", `    │ ${one}`));
    },
    progress: (text) => {
      if (!terminal) return;
      process.stdout.write(`\r\x1b[K  ${paint("dim", text)}`);
      progressing = true;
    },
    report: ({ ok, ms, accounts, operations, error }) => {
      const figures = `${seconds(ms)} · ${plural(accounts, "account")} · ${plural(operations, "operation")}`;
      if (ok) line(`  ${paint("green", "✓")} as it should be   ${paint("dim", figures)}`);
      else line(`  ${paint("red", "✗ not as it should be")}   ${paint("dim", figures)}`);
      for (const one of error?.split("\n") ?? []) line(`    ${paint("red", one)}`);
    },
  };
}

/** A narrator for programs: one JSON line on stdout for each step, and nothing else there. */
export function jsonNarrator(): Narrator {
  const silent = () => {};
  return {
    ...{ title: silent, say: silent, change: silent, quote: silent, progress: silent },
    report: (step) => process.stdout.write(`${JSON.stringify(step)}\n`),
  };
}

/** A span as people say it: 840 ms, 3.2 s, 95 s. */
export function seconds(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 1_000)} s`;
}

/** `3 accounts`, `1 account`. */
export function plural(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
