/**
 * Whose row is it? On what the rows of a source are matched, and how alike the names of a row and of a person are, with
 * the reason.
 *
 * Laws (tested): an empty value never matches anything; the order of people does not matter; whenever two people are
 * about equally alike, both are told and a person decides, because a wrong match gives one person another's account.
 *
 * People who agree exactly, and those whose names are near, are found by SQL (engine/importMatch.ts, importAlike.ts); what
 * follows from it is arrival.ts.
 */
import { foldCase } from "./fold.ts";
import type { Profile, Value } from "./types.ts";

/** Attributes that must all be equal. */
export type Combination = readonly string[];

/** What a source is matched on, as people give it: one combination, or several of which any is enough. */
export type MatchOn = readonly string[] | readonly Combination[];

/** Likeness of names, as people give it: from how many per cent on, and what each attribute weighs. */
export type PartialMatch = Readonly<{ at_least: number; weights?: Readonly<Record<string, number>> | undefined }>;

/** Attribute → weight; the score is the share of the weights that agree, and a match needs `at_least` of it (0 to 1). */
export type PartialRule = Readonly<{ weights: Readonly<Record<string, number>>; at_least: number }>;

/** What likeness is when nobody says more than that it is wanted. */
export const usual_partial: PartialMatch = { at_least: 75 };

/** The names carry it, place and department help to tell two people of the same name apart. */
const usual_weights = { lastName: 4, firstName: 3, department: 1, city: 1 };

/** Someone a row may belong to. */
export type MatchCandidate = Readonly<{ id: string; profile: Profile }>;

/** One attribute's part in a score: how alike (0 to 1), and with what weight. */
export type MatchReason = Readonly<{ attribute: string; likeness: number; weight: number }>;

/** Someone who is alike, from 0 to 1, and why. */
export type MatchFit = Readonly<{ user_id: string; score: number; reasons: readonly MatchReason[] }>;

/** Under what a person is looked for by name: both names whole; and one of them whole, with the first letter of the other. */
export type NameKeys = Readonly<{ whole: string; near: readonly string[] }>;

/** Attribute → its text without case and spaces around, and that without accents; empty attributes are absent. */
type Texts = ReadonlyMap<string, Readonly<{ plain: string; bare: string }>>;

/** What counts as space, and as an accent, inside the brackets of a regular expression: here and in PostgreSQL. */
export const space_class =
  "\\u0009-\\u000d\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff";
export const accent_class = "\\u0300-\\u036f";
/** Names are looked for by so many letters at most: an index takes no more. */
export const name_letters = 200;

/** Two scores nearer than this are the same: names cannot tell so finely. */
const score_margin = 0.05;
const spaces = new RegExp(`[${space_class}]+`, "gu");
const accents = new RegExp(`[${accent_class}]`, "gu");

/** The combinations of what a source is matched on, whichever way it was given. */
export function combinationsOf(match_on: MatchOn): readonly Combination[] {
  const several = match_on.every((one): one is string[] => Array.isArray(one));
  return several ? match_on : [match_on.filter((one): one is string => typeof one === "string")];
}

/** The rule of likeness that a source has; null: it is off. */
export function partialRuleOf(given: PartialMatch | null | undefined): PartialRule | null {
  if (given === null || given === undefined) return null;
  return { weights: given.weights ?? usual_weights, at_least: given.at_least / 100 };
}

/** What someone is looked for by; undefined without both names. A slip in one is found, and a common one fetches not all. */
export function nameKeys(profile: Profile): NameKeys | undefined {
  const [first, last] = [bareName(profile, "firstName"), bareName(profile, "lastName")];
  if (first.length === 0 || last.length === 0) return undefined;
  const [f, l] = [first.join(""), last.join("")];
  return { whole: `=${l}\n${f}`, near: [`<${l}\n${first[0]}`, `>${f}\n${last[0]}`] };
}

const bareName = (profile: Profile, attribute: string): readonly string[] =>
  [...withoutAccents(plainText(profile, attribute) ?? "")].slice(0, name_letters);

/**
 * Whom of these people a row is alike to, best first: one who is clear of the others, or those who are about equally so.
 * Nobody, when none is alike enough.
 */
export function mostAlike(profile: Profile, people: readonly MatchCandidate[], rule: PartialRule): readonly MatchFit[] {
  const texts = textsOf(profile, rule);
  const fits = people
    .map(({ id, profile: theirs }) => likenessOf(texts, id, textsOf(theirs, rule), rule))
    .filter((fit) => fit.score >= rule.at_least)
    .sort(byScore);
  const best = fits[0]?.score ?? 0;
  return fits.filter((fit) => best - fit.score < score_margin);
}

/** Per cent, as people are told. */
export const percentOf = ({ score }: MatchFit): number => Math.round(score * 100);

/** What agrees and what does not, in words: "lastName alike". */
export const reasonsOf = ({ reasons }: MatchFit): readonly string[] =>
  reasons.map(({ attribute, likeness: alike }) => {
    return `${attribute} ${alike === 1 ? "the same" : alike === 0 ? "differs" : "alike"}`;
  });

/** A score with its reasons, in a sentence. */
export const explained = (fit: MatchFit): string => `${percentOf(fit)} % alike: ${reasonsOf(fit).join(", ")}`;

/** Attributes that either side leaves empty say nothing, for or against. */
function likenessOf(record: Texts, user_id: string, theirs: Texts, rule: PartialRule): MatchFit {
  const reasons: MatchReason[] = [];
  let all = 0;
  let agreed = 0;
  for (const [attribute, weight] of Object.entries(rule.weights)) {
    const [one, other] = [theirs.get(attribute), record.get(attribute)];
    if (one === undefined || other === undefined) continue;
    const alike = one.plain === other.plain ? 1 : likeness(one.bare, other.bare);
    reasons.push({ attribute, weight, likeness: alike });
    all += weight;
    agreed += weight * alike;
  }
  return { user_id, score: all > 0 ? agreed / all : 0, reasons };
}

function textsOf(profile: Profile, rule: PartialRule): Texts {
  const texts = new Map<string, { plain: string; bare: string }>();
  for (const attribute of Object.keys(rule.weights)) {
    const plain = plainText(profile, attribute);
    if (plain !== undefined) texts.set(attribute, { plain, bare: withoutAccents(plain) });
  }
  return texts;
}

/** How alike two texts without accents are: the same but for accents; an initial or short form; one slip of the pen. */
function likeness(a: string, b: string): number {
  if (a === b) return 0.95;
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  // "J." or "Rob" for "Robert"; the first of two first names.
  const start = short.replace(/\.$/, "");
  if (start !== "" && long.startsWith(start)) return 0.7;
  return short.length >= 4 && differByOne(short, long) ? 0.7 : 0;
}

/** One letter added, dropped, changed, or two neighbours swapped. */
function differByOne(short: string, long: string): boolean {
  if (long.length - short.length > 1) return false;
  let at = 0;
  while (at < short.length && short[at] === long[at]) at += 1;
  if (long.length > short.length) return short.slice(at) === long.slice(at + 1);
  if (short.slice(at + 1) === long.slice(at + 1)) return true;
  return short[at] === long[at + 1] && short[at + 1] === long[at] && short.slice(at + 2) === long.slice(at + 2);
}

/** The value without case and outer spaces; undefined if there is none. Lists and objects identify nobody. */
function plainText(profile: Profile, attribute: string): string | undefined {
  const value: Value | undefined = Object.hasOwn(profile, attribute) ? profile[attribute] : undefined;
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const text = foldCase(String(value).normalize()).replace(spaces, " ").trim();
  return text === "" ? undefined : text;
}

function withoutAccents(text: string): string {
  return text.normalize("NFD").replace(accents, "").replaceAll("ß", "ss");
}

/** Best first; ids break ties, so that the answer does not hang on the order of people. */
function byScore(one: MatchFit, other: MatchFit): number {
  return other.score - one.score || (one.user_id < other.user_id ? -1 : 1);
}
