/**
 * Whose account is this? Compares a record read from an app with the people we know (okta-lifecycle 3.4): exactly on
 * configured attributes, else by likeness of names, and says why.
 *
 * Laws (tested): an empty value never matches anything; the order of people does not matter; whenever two people
 * fit, the answer is "ambiguous" and a person decides, because a wrong match gives one person another's account; a
 * person who already has an account in the app is never matched again.
 *
 * Called by engine/import.ts with one index per run, so that a run costs one look-up per record and rule.
 */
import { foldCase } from "./fold.ts";
import type { Profile, Value } from "./types.ts";

/** Someone a record may belong to. */
export type MatchCandidate = Readonly<{ id: string; profile: Profile }>;

export type MatchRules = Readonly<{
  /** Combinations of attributes; in one, all must agree. Any combination that agrees is an exact match. */
  exact: readonly (readonly string[])[];
  /** Likeness by names; null: off. */
  partial: PartialRule | null;
}>;

/** Attribute → weight; the score is the share of the weights that agree, and a match needs `at_least` of it. */
export type PartialRule = Readonly<{ weights: Readonly<Record<string, number>>; at_least: number }>;

/** The names carry it, place and department help to tell two people of the same name apart. */
export const partialByName: PartialRule = {
  weights: { lastName: 4, firstName: 3, department: 1, city: 1 },
  at_least: 0.75,
};

/** Okta's default: the username, or the e-mail address. */
export const defaultMatchRules: MatchRules = { exact: [["login"], ["email"]], partial: null };

/** One attribute's part in a score: how alike (0 to 1), and with what weight. */
export type MatchReason = Readonly<{ attribute: string; likeness: number; weight: number }>;

export type MatchFit = Readonly<{ user_id: string; score: number; reasons: readonly MatchReason[] }>;

/** `why` is a sentence for the import's page. */
export type MatchOutcome =
  | Readonly<{ kind: "exact" | "partial"; user_id: string; fit: MatchFit; why: string }>
  /** Several people fit, or the one who fits already has an account in this app. */
  | Readonly<{ kind: "ambiguous"; fits: readonly MatchFit[]; why: string }>
  | Readonly<{ kind: "none"; why: string }>;

export type MatchIndex = Readonly<{
  rules: MatchRules;
  /** Key of a combination's values → ids of people. */
  exact: ReadonlyMap<string, readonly string[]>;
  /** Key of nearly the same name → people. */
  names: ReadonlyMap<string, readonly Namesake[]>;
}>;

/** A person with the texts that likeness compares, prepared once for all records. */
type Namesake = Readonly<{ id: string; texts: Texts }>;

/** Attribute → its text without case and spaces around, and that without accents; empty attributes are absent. */
type Texts = ReadonlyMap<string, Readonly<{ plain: string; bare: string }>>;

/** Two scores nearer than this are the same: names cannot tell so finely. */
const score_margin = 0.05;
const fits_max = 10;
const nobody: ReadonlySet<string> = new Set();

/** Prepares the people for any number of records. */
export function indexCandidates(candidates: readonly MatchCandidate[], rules: MatchRules): MatchIndex {
  const exact = new Map<string, string[]>();
  const names = new Map<string, Namesake[]>();
  for (const { id, profile } of candidates) {
    for (const [number, attributes] of rules.exact.entries()) {
      const key = exactKey(number, attributes, profile);
      if (key !== undefined) add(exact, key, id);
    }
    const keys = rules.partial ? nameKeys(profile) : [];
    if (rules.partial === null || keys.length === 0) continue;
    const namesake = { id, texts: textsOf(profile, rules.partial) };
    for (const key of keys) add(names, key, namesake);
  }
  return { rules, exact, names };
}

/**
 * Whose record is it? `profile` is the record mapped to our attributes; `taken` are the ids of people who have an
 * account in this app already, to which the caller adds as it links.
 */
export function matchRecord(profile: Profile, index: MatchIndex, taken: ReadonlySet<string> = nobody): MatchOutcome {
  const exact = exactFits(profile, index);
  const [only] = exact;
  if (exact.length > 1) {
    const why = `${exact.length} people match exactly on ${listed(exact.flatMap(attributesOf))}`;
    return { kind: "ambiguous", fits: exact.slice(0, fits_max), why };
  }
  if (only && taken.has(only.user_id)) {
    const why = `Matches exactly on ${listed(attributesOf(only))}, but that person already has an account in this app`;
    return { kind: "ambiguous", fits: exact, why };
  }
  if (only) {
    return { kind: "exact", user_id: only.user_id, fit: only, why: `Same ${listed(attributesOf(only))}` };
  }
  return index.rules.partial ? partialMatch(profile, index, index.rules.partial, taken) : noMatch(index.rules);
}

/** Everyone whom any combination finds, once each, with the attributes that found them. */
function exactFits(profile: Profile, index: MatchIndex): readonly MatchFit[] {
  const found = new Map<string, Set<string>>();
  for (const [number, attributes] of index.rules.exact.entries()) {
    const key = exactKey(number, attributes, profile);
    if (key === undefined) continue;
    for (const id of index.exact.get(key) ?? []) {
      const by = found.get(id) ?? new Set();
      for (const attribute of attributes) by.add(attribute);
      found.set(id, by);
    }
  }
  return [...found]
    .map(([user_id, by]) => ({
      user_id,
      score: 1,
      reasons: [...by].map((attribute) => ({ attribute, likeness: 1, weight: 1 })),
    }))
    .sort(byScore);
}

function partialMatch(
  profile: Profile,
  index: MatchIndex,
  rule: PartialRule,
  taken: ReadonlySet<string>,
): MatchOutcome {
  const near = new Map<string, Namesake>();
  for (const key of nameKeys(profile)) {
    for (const namesake of index.names.get(key) ?? []) if (!taken.has(namesake.id)) near.set(namesake.id, namesake);
  }
  const texts = textsOf(profile, rule);
  const fits = [...near.values()]
    .map((namesake) => likenessOf(texts, namesake, rule))
    .filter((fit) => fit.score >= rule.at_least)
    .sort(byScore);
  const [best, second] = fits;
  if (best === undefined) return noMatch(index.rules);
  if (second !== undefined && best.score - second.score < score_margin) {
    const rivals = fits.filter((fit) => best.score - fit.score < score_margin).slice(0, fits_max);
    return { kind: "ambiguous", fits: rivals, why: `${rivals.length} people are about equally alike by name` };
  }
  return { kind: "partial", user_id: best.user_id, fit: best, why: explained(best) };
}

function noMatch(rules: MatchRules): MatchOutcome {
  const by = rules.exact.map((attributes) => attributes.join(" + ")).join(", or ");
  return { kind: "none", why: `Nobody has the same ${by}${rules.partial ? ", or a like name" : ""}` };
}

/** Attributes that either side leaves empty say nothing, for or against. */
function likenessOf(record: Texts, namesake: Namesake, rule: PartialRule): MatchFit {
  const reasons: MatchReason[] = [];
  let all = 0;
  let agreed = 0;
  for (const [attribute, weight] of Object.entries(rule.weights)) {
    const ours = namesake.texts.get(attribute);
    const theirs = record.get(attribute);
    if (ours === undefined || theirs === undefined) continue;
    const alike = ours.plain === theirs.plain ? 1 : likeness(ours.bare, theirs.bare);
    reasons.push({ attribute, weight, likeness: alike });
    all += weight;
    agreed += weight * alike;
  }
  return { user_id: namesake.id, score: all > 0 ? agreed / all : 0, reasons };
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

/**
 * Names under which someone is looked for: one of the two names whole, and the first letter of the other. So a slip in
 * one name is found, and a common name does not fetch the whole company.
 */
function nameKeys(profile: Profile): readonly string[] {
  const first = withoutAccents(plainText(profile, "firstName") ?? "");
  const last = withoutAccents(plainText(profile, "lastName") ?? "");
  if (first === "" || last === "") return [];
  return [`${last}\n${[...first][0]}`, `\n${first}\n${[...last][0]}`];
}

/** The key of a combination; undefined if any of its attributes is empty, for nothing may match on nothing. */
function exactKey(number: number, attributes: readonly string[], profile: Profile): string | undefined {
  const values: string[] = [];
  for (const attribute of attributes) {
    const value = plainText(profile, attribute);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values.length === 0 ? undefined : JSON.stringify([number, ...values]);
}

/** The value without case and outer spaces; undefined if there is none. Lists and objects identify nobody. */
function plainText(profile: Profile, attribute: string): string | undefined {
  const value: Value | undefined = Object.hasOwn(profile, attribute) ? profile[attribute] : undefined;
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const text = foldCase(String(value).normalize()).trim().replace(/\s+/g, " ");
  return text === "" ? undefined : text;
}

function withoutAccents(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").replaceAll("ß", "ss");
}

function attributesOf(fit: MatchFit): readonly string[] {
  return fit.reasons.map((reason) => reason.attribute);
}

function listed(attributes: readonly string[]): string {
  return [...new Set(attributes)].join(" and ");
}

function explained(fit: MatchFit): string {
  const parts = fit.reasons.map(({ attribute, likeness: alike }) => {
    return `${attribute} ${alike === 1 ? "the same" : alike === 0 ? "differs" : "alike"}`;
  });
  return `${Math.round(fit.score * 100)} % alike: ${parts.join(", ")}`;
}

/** Best first; ids break ties, so that the answer does not hang on the order of people. */
function byScore(one: MatchFit, other: MatchFit): number {
  return other.score - one.score || (one.user_id < other.user_id ? -1 : 1);
}

function add<T>(map: Map<string, T[]>, key: string, item: T): void {
  const items = map.get(key);
  if (items) items.push(item);
  else map.set(key, [item]);
}
