/**
 * What a row of a source is to become: a new person, a change of one, a leave, a return, a link to someone who is there
 * already, or nothing, with the reason. Pure: whoever asks has mapped the row and looked for people who match it.
 *
 * Rules: whoever leaves leaves, whatever else their row says. A row of someone we know is never matched again. A match
 * that is not clear, or not to be confirmed by itself, waits for a person. A row that two people match, or whose person
 * comes from another row, makes nobody.
 *
 * Called by engine/importDecide.ts.
 */
import type { Outcome, UserStatus } from "./types.ts";

/**
 * A user who agrees with a row. `row`: the other row of this source that they come from; null: from none. `former`: they
 * came from another row that has left: a person under a new number.
 */
export type ArrivalMatch = Readonly<{ user_id: string; row: string | null; former?: boolean }>;

/** What a person has decided about a row that waited. `match`: whom to link it to; null: nobody, or nobody any more. */
export type ArrivalDecision = Readonly<{ kind: "create" | "link" | "ignore"; by: string; match: ArrivalMatch | null }>;

export type Arrival = Readonly<{
  /** The source says that the person works here. */
  enabled: boolean;
  /** Whose row it is, by its id; null: nobody's yet. */
  user: Readonly<{ status: UserStatus }> | null;
  /** What is wrong with the values of the row; the first one is told. */
  problems: readonly string[];
  dates: Outcome<unknown>;
  /** Their last day has passed. */
  over?: boolean;
  /** The row says it was merged into the one with this id. */
  merged_into?: string;
  /** Only for rows of nobody. */
  matches: readonly ArrivalMatch[];
  /** Only for rows of nobody. */
  decision?: ArrivalDecision;
}>;

/** `auto_confirm_new`: whom nobody matches is created without asking; absent: yes. */
export type ArrivalPolicy = Readonly<{
  match_on: readonly string[];
  auto_confirm: boolean;
  auto_confirm_new?: boolean;
}>;

/** `candidates`: the people who would fit a row that waits. */
export type ArrivalVerdict =
  | Readonly<{ outcome: "create" | "update" | "return" | "leave" }>
  | Readonly<{ outcome: "link"; user_id: string; former?: true }>
  | Readonly<{ outcome: "waiting"; reason: string; user_id?: string; candidates?: readonly string[] }>
  | Readonly<{ outcome: "refused"; reason: string }>
  /** `ignored`: because a person said so; once that is undone, the row waits. */
  | Readonly<{ outcome: "skipped"; reason: string; ignored?: true }>;

/** Of more people than these who match a row, only that they are more is told. */
export const matches_max = 10;

/** Decides one row. */
export function judgeArrival(arrival: Arrival, policy: ArrivalPolicy): ArrivalVerdict {
  const { enabled, user, problems, dates } = arrival;
  if (!enabled) {
    if (user !== null) return { outcome: "leave" };
    return { outcome: "skipped", reason: "not active in the source, and nobody of ours" };
  }
  if (arrival.merged_into !== undefined) {
    const reason = `was merged into ${arrival.merged_into}`;
    return user === null
      ? { outcome: "skipped", reason }
      : { outcome: "waiting", reason: `${reason}: see who goes on, and deactivate the other one` };
  }
  const [problem] = problems;
  if (problem !== undefined) return { outcome: "refused", reason: problem };
  if ("refused" in dates) return { outcome: "refused", reason: dates.refused };
  if (user === null && arrival.over === true) {
    return { outcome: "skipped", reason: "the last day is over, and nobody of ours" };
  }
  if (user === null && arrival.decision !== undefined) return judgeDecided(arrival.decision, policy);
  if (user === null) return judgeStranger(arrival.matches, policy);
  return { outcome: user.status === "DEPROVISIONED" || user.status === "SUSPENDED" ? "return" : "update" };
}

/** A person has said what a row becomes: only someone who is gone, or has another row by now, can be in the way. */
function judgeDecided({ kind, by, match }: ArrivalDecision, policy: ArrivalPolicy): ArrivalVerdict {
  if (kind === "create") return { outcome: "create" };
  if (kind === "ignore") return { outcome: "skipped", reason: `ignored by ${by}`, ignored: true };
  if (match === null) return { outcome: "waiting", reason: "was to be linked to a user who is gone: decide anew" };
  return judgeStranger([match], { ...policy, auto_confirm: true });
}

function judgeStranger(
  matches: readonly ArrivalMatch[],
  { match_on, auto_confirm, auto_confirm_new = true }: ArrivalPolicy,
): ArrivalVerdict {
  const [match] = matches;
  if (match === undefined) {
    return auto_confirm_new
      ? { outcome: "create" }
      : { outcome: "waiting", reason: "waits to be confirmed as someone new" };
  }
  if (matches.length > 1) {
    const many = matches.length > matches_max ? `more than ${matches_max}` : String(matches.length);
    return {
      outcome: "waiting",
      reason: `${many} users match by ${match_on.join(" and ")}: link it to one of them by hand`,
      candidates: matches.slice(0, matches_max).map(({ user_id }) => user_id),
    };
  }
  if (match.row !== null) {
    const which = match.row === "" ? "another row" : `another row (${match.row})`;
    return {
      outcome: "refused",
      reason: `matches a user who already comes from ${which} of this source (${match_on.join(", ")}): mend the source`,
    };
  }
  if (!auto_confirm) return { outcome: "waiting", reason: "waits to be confirmed", user_id: match.user_id };
  return { outcome: "link", user_id: match.user_id, ...(match.former ? { former: true } : {}) };
}
