/** tenure plan: what would be done for a person now, before it is done. */
import { CliError, exit_codes } from "./errors.ts";
import { plain, print, printJson } from "./output.ts";
import { command } from "./parts.ts";
import { type Reason, wordsOf } from "./why.ts";

type Move = Readonly<{ group: string; rule: string }>;
type Preview = Readonly<{
  user_id: string;
  login: string;
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

export const { run } = command({
  usage: {
    name: "plan",
    words: "[USER]",
    summary: "Shows what would be done for a person now in every app, and why. Nothing is done.",
    options: { user: { value: "USER", help: "Id or login" } },
  },
  least: 0,
  most: 1,
  run: async (client, given, [word]) => {
    const user = word ?? given.text("user");
    if (user === undefined) throw new CliError(exit_codes.usage, "tenure plan: whose? Give a login or an id");
    const preview = await client.send<Preview>("POST", "/admin/v1/plan", { user });
    if (given.flag("json")) {
      printJson(preview);
      return;
    }
    print(`${plain(preview.login)} (${preview.user_id})`);
    for (const { group, rule } of preview.groups.join) print(`  joins group ${plain(group)} by rule ${plain(rule)}`);
    for (const { group, rule } of preview.groups.leave)
      print(`  leaves group ${plain(group)}: rule ${plain(rule)} no longer matches`);
    for (const step of preview.steps) {
      print(`  ${step.rune} ${plain(step.app)}: ${step.step}${step.enabled === false ? " (disabled)" : ""}`);
      for (const change of step.changes) {
        const how = change.expression === null ? "" : `   by ${plain(change.expression)}`;
        print(`      ${plain(change.attribute)}: ${shown(change.before)} -> ${shown(change.after)}${how}`);
      }
      for (const reason of step.why) print(`      because ${wordsOf(reason)}`);
      for (const problem of step.problems) print(`      problem: ${plain(problem)}`);
    }
    if (preview.steps.length === 0) print("  no app concerns this person");
  },
});

const shown = (value: unknown) => (value === null || value === undefined ? "nothing" : plain(value));
