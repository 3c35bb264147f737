/** Reasons in a sentence: who or which group gives an app, and why the person is in that group. */
import { plain } from "./output.ts";

/** Why somebody has an app, as the API tells it. */
export type Reason = Readonly<{
  scope: "USER" | "GROUP";
  name: string;
  membership: readonly Readonly<{ kind: string; name: string; expression: string | null }>[];
}>;

/** "the group Sales (by rule "Everyone in Sales": user.department == "Sales")", or "given by ann@example.com". */
export function wordsOf(reason: Reason): string {
  if (reason.scope === "USER") return `given by ${plain(reason.name)}`;
  const givers = reason.membership.map(
    (giver) => `${giver.kind} ${plain(giver.name)}${giver.expression === null ? "" : `: ${plain(giver.expression)}`}`,
  );
  return `the group ${plain(reason.name)}${givers.length === 0 ? "" : ` (by ${givers.join(", and by ")})`}`;
}
