/** A plan and an explanation in a few lines, as the narration quotes them. Pure. */

type Change = Readonly<{ attribute: string; before?: unknown; after?: unknown }>;

/** What the API says would be done for a person. */
export type Plan = Readonly<{
  groups: Readonly<{ join: readonly Readonly<{ group: string }>[]; leave: readonly Readonly<{ group: string }>[] }>;
  steps: readonly Readonly<{
    app: string;
    rune: string;
    step: string;
    enabled: boolean | null;
    changes: readonly Change[];
    why: readonly Readonly<{ name: string }>[];
  }>[];
}>;

/** What the API says of an account and one attribute of it. */
export type Explanation = Readonly<{
  why: readonly Readonly<{
    name: string;
    scope: string;
    membership: readonly Readonly<{ kind: string; name: string; expression: string | null }>[];
  }>[];
  attributes: readonly Readonly<{ attribute: string; want: unknown; have: unknown; from: string }>[];
  operations: readonly Readonly<{ step: string; outcome: string; finished_at: string }>[];
}>;

const values_max = 3;

/** Groups, then a line for each app that something would be done in. */
export function planInWords({ groups, steps }: Plan): string {
  const named = (rows: readonly { group: string }[]) => rows.map(({ group }) => group).join(", ");
  const lines = steps
    .filter(({ step }) => step !== "none" && step !== "local")
    .map(({ app, rune, step, changes, why }) => {
      const what = changes
        .slice(0, values_max)
        .map(({ attribute, before, after }) => `${attribute} ${shown(before)} → ${shown(after)}`);
      const more = changes.length > values_max ? [`and ${changes.length - values_max} more`] : [];
      const by = why.map(({ name }) => name).join(", ");
      return `${rune} ${app}: ${step}${by === "" ? "" : ` (by ${by})`} ${[...what, ...more].join(", ")}`.trimEnd();
    });
  return [
    ...(groups.join.length > 0 ? [`joins    ${named(groups.join)}`] : []),
    ...(groups.leave.length > 0 ? [`leaves   ${named(groups.leave)}`] : []),
    ...lines,
  ].join("\n");
}

/** The value, what gives it, and the last calls. */
export function explanationInWords({ why, attributes, operations }: Explanation): string {
  return [
    ...attributes.map(({ attribute, want, have, from }) => {
      return `${attribute}: wanted ${shown(want)}, in the app ${shown(have)}, given by the ${from}`;
    }),
    ...why.map(({ name, membership }) => {
      const by = membership.map((giver) => `${giver.kind} ${giver.name}${ofRule(giver.expression)}`);
      return `because of the group ${name}, by ${by.join(" and ")}`;
    }),
    ...operations.slice(0, 1).map(({ step, outcome, finished_at }) => `last: ${step} ${outcome} at ${finished_at}`),
  ].join("\n");
}

function ofRule(expression: string | null): string {
  return expression === null ? "" : `: ${expression}`;
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return typeof value === "string" ? value : JSON.stringify(value);
}
