/**
 * What a row of a source is to become: a new person, a change of one, a leave, a return, a link to someone who is there
 * already, or nothing, with the reason. Pure: whoever asks has mapped the row and looked for people who match it.
 *
 * Rules: whoever leaves leaves, whatever else their row says. A row of someone we know is never matched again. A match
 * that is not clear, not to be confirmed by itself, or only by likeness of names, waits for a person. A row that two people match, or whose person
 * comes from another row, makes nobody.
 *
 * Called by engine/importDecide.ts.
 */
import { type Combination, explained, type MatchFit, percentOf, reasonsOf } from "./match.ts";
import type { Outcome, UserStatus } from "./types.ts";

/**
 * A user who agrees with a row. `row`: the other row of this source that they come from; null: from none. `former`: they
 * came from another row that has left: a person under a new number. `by`: the combinations in which they agree.
 */
export type ArrivalMatch = Readonly<{
  user_id: string;
  row: string | null;
  former?: boolean;
  by?: readonly Combination[];
}>;

/** A user whose names are alike, and who comes from no row of this source, or from one that has left (`former`). */
export type ArrivalFit = MatchFit & Readonly<{ former?: boolean }>;

/** Whom a row is alike to: one, or several about equally. `unsure`: why even one must be confirmed by a person. */
export type ArrivalLikeness = Readonly<{ fits: readonly ArrivalFit[]; unsure?: string }>;

/** How well a user fits, as people are told: per cent where it was by likeness, and what agrees. */
export type FitTold = Readonly<{ score?: number; reasons: readonly string[] }>;

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
  /** Only for rows of nobody whom nobody matches. */
  alike?: ArrivalLikeness;
  /** Only for rows of nobody. */
  decision?: ArrivalDecision;
}>;

/**
 * `auto_confirm_new`: whom nobody matches is created without asking; absent: yes. `auto_confirm_partial`: so is linked who
 * is only alike; absent: no.
 */
export type ArrivalPolicy = Readonly<{
  auto_confirm: boolean;
  auto_confirm_new?: boolean;
  auto_confirm_partial?: boolean;
}>;

/** `alike`: by likeness of names, for this `reason`. `candidates`: the people who would fit a row that waits; `fits`: how well. */
export type ArrivalVerdict =
  | Readonly<{ outcome: "create" | "update" | "return" | "leave" }>
  | Readonly<{ outcome: "link"; user_id: string; former?: true; alike?: true; reason?: string }>
  | Readonly<{
      outcome: "waiting";
      reason: string;
      user_id?: string;
      candidates?: readonly string[];
      fits?: Readonly<Record<string, FitTold>>;
      alike?: true;
    }>
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
  if (user === null) return judgeStranger(arrival.matches, policy, arrival.alike);
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
  { auto_confirm, auto_confirm_new = true, auto_confirm_partial = false }: ArrivalPolicy,
  alike?: ArrivalLikeness,
): ArrivalVerdict {
  const [match] = matches;
  if (match === undefined && alike !== undefined && alike.fits.length > 0) {
    return judgeLikeness(alike, auto_confirm_partial);
  }
  if (match === undefined) {
    return auto_confirm_new
      ? { outcome: "create" }
      : { outcome: "waiting", reason: "waits to be confirmed as someone new" };
  }
  if (matches.length > 1) {
    const told = matches.slice(0, matches_max);
    return {
      outcome: "waiting",
      reason: `${severalMatch(matches)}: link it to one of them by hand`,
      candidates: told.map(({ user_id }) => user_id),
      ...exactFits(told),
    };
  }
  if (match.row !== null) {
    const which = match.row === "" ? "another row" : `another row (${match.row})`;
    const by = match.by === undefined ? "" : ` (${match.by.map((names) => names.join(", ")).join("; ")})`;
    return {
      outcome: "refused",
      reason: `matches a user who already comes from ${which} of this source${by}: mend the source`,
    };
  }
  if (!auto_confirm) {
    return { outcome: "waiting", reason: "waits to be confirmed", user_id: match.user_id, ...exactFits([match]) };
  }
  return { outcome: "link", user_id: match.user_id, ...(match.former ? { former: true } : {}) };
}

/** One who is alike is linked only if the source says so and nothing speaks against it; of several, a person knows. */
function judgeLikeness({ fits, unsure }: ArrivalLikeness, auto_confirm_partial: boolean): ArrivalVerdict {
  const [best] = fits;
  if (best === undefined || fits.length > 1) {
    const told = fits.slice(0, matches_max);
    const many = fits.length > matches_max ? `more than ${matches_max}` : String(fits.length);
    return {
      outcome: "waiting",
      reason: `${many} users are about equally alike by name: link it to one of them by hand, or make someone new`,
      candidates: told.map(({ user_id }) => user_id),
      fits: Object.fromEntries(told.map((fit) => [fit.user_id, toldOf(fit)])),
      alike: true,
    };
  }
  const { user_id, former } = best;
  const reason = explained(best);
  if (auto_confirm_partial && unsure === undefined) {
    return { outcome: "link", user_id, ...(former ? { former: true } : {}), alike: true, reason };
  }
  const why = unsure === undefined ? reason : `${reason}; ${unsure}`;
  return { outcome: "waiting", reason: why, user_id, fits: { [user_id]: toldOf(best) }, alike: true };
}

const toldOf = (fit: MatchFit): FitTold => ({ score: percentOf(fit), reasons: reasonsOf(fit) });

/** "2 users match by email"; where they do not all match in the same way, how many in which. */
function severalMatch(matches: readonly ArrivalMatch[]): string {
  const over = matches.length > matches_max;
  const ways = Map.groupBy(matches, ({ by = [] }) => by.map((names) => `by ${names.join(" and ")}`).join(" and "));
  const [[only] = [""]] = [[...ways.keys()]];
  if (ways.size === 1) {
    return `${over ? `more than ${matches_max}` : matches.length} users match${only === "" ? "" : ` ${only}`}`;
  }
  const parts = [...ways].map(([way, those]) => (over ? way : `${those.length} ${way}`));
  return `${over ? `more than ${matches_max}` : matches.length} users match, ${parts.join(", ")}`;
}

/** What agrees in those who match exactly. */
function exactFits(matches: readonly ArrivalMatch[]): Readonly<{ fits?: Readonly<Record<string, FitTold>> }> {
  const fits = matches.flatMap(({ user_id, by }) => {
    if (by === undefined) return [];
    return [[user_id, { reasons: [...new Set(by.flat())].map((name) => `${name} the same`) }] as const];
  });
  return fits.length === 0 ? {} : { fits: Object.fromEntries(fits) };
}
