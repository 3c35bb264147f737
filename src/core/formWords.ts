/**
 * What is wrong with a value that a form does not take, in plain words: they follow the value's name, as in
 * `limit: must be at most 20`. A form that gives its own words keeps them.
 */

/** What zod tells of a value; one shape for all its codes. */
export type Issue = Readonly<{
  code?: string | undefined;
  input?: unknown;
  expected?: string;
  origin?: string;
  maximum?: number | bigint;
  minimum?: number | bigint;
  inclusive?: boolean;
  exact?: boolean;
  format?: string;
  divisor?: number;
  keys?: readonly string[];
  values?: readonly unknown[];
  errors?: readonly (readonly Issue[])[];
  path?: readonly PropertyKey[];
  /** Of the forms of a union only: what these words made of it. */
  message?: string;
}>;

/** What is wrong, without the name of the value. */
export function wordsOf(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined
        ? "is missing"
        : `must be ${kindOf(issue.expected)}, not ${givenOf(issue.input)}`;
    case "too_big":
      return boundOf(issue, issue.maximum, issue.inclusive === false ? "less than" : "at most");
    case "too_small":
      if (issue.origin === "string" && Number(issue.minimum) === 1) return "must not be empty";
      return boundOf(issue, issue.minimum, issue.inclusive === false ? "more than" : "at least");
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    case "invalid_format":
      return formats[issue.format ?? ""] ?? "does not have the form that is wanted";
    case "unrecognized_keys":
      return `does not take ${listOf(issue.keys ?? [], "or")}`;
    case "invalid_value":
      if (issue.input === undefined) return "is missing";
      return `must be ${listOf(
        (issue.values ?? []).map((value) => JSON.stringify(value) ?? "nothing"),
        "or",
      )}`;
    case "invalid_union":
      return unionOf(issue);
    default:
      return "is not valid";
  }
}

const kinds: Readonly<Record<string, string>> = {
  ...{ string: "a text", number: "a number", int: "a whole number", boolean: "true or false", date: "a date" },
  ...{ array: "a list", tuple: "a list", object: "an object", record: "an object", null: "null", nan: "a number" },
};

const kindOf = (expected = "") => kinds[expected] ?? "something else";

function givenOf(input: unknown): string {
  if (input === null) return "null";
  if (Array.isArray(input)) return "a list";
  if (typeof input === "number" && !Number.isFinite(input)) return "what is given";
  return (
    { string: "a text", number: "a number", boolean: String(input), object: "an object" }[typeof input as string] ??
    "that"
  );
}

function boundOf({ origin, exact }: Issue, bound: number | bigint | undefined, how: string): string {
  const what = { string: "characters", array: "items", set: "items", file: "bytes" }[origin ?? ""];
  if (what === undefined) return `must be ${exact ? "" : `${how} `}${bound}`;
  return `must have ${exact ? "exactly" : how} ${bound} ${Number(bound) === 1 ? what.slice(0, -1) : what}`;
}

const formats: Readonly<Record<string, string>> = {
  email: "must be an e-mail address",
  url: "must be a URL",
  uuid: "must be a UUID",
  datetime: "must be a date and time, as in 2026-03-02T09:00:00Z",
  date: "must be a day, as in 2026-03-02",
  json_string: "must be JSON",
};

/** Of the forms that a value may have, the one it comes nearest to says what is wrong. */
function unionOf({ input, errors = [] }: Issue): string {
  if (input === undefined) return "is missing";
  const others = errors.map((issues) => issues[0]).filter((issue) => issue !== undefined);
  const wrong_kind = others.filter(({ code, path = [] }) => code === "invalid_type" && path.length === 0);
  if (others.length > 0 && wrong_kind.length === others.length) {
    return `must be ${listOf([...new Set(wrong_kind.map(({ expected }) => kindOf(expected)))], "or")}, not ${givenOf(input)}`;
  }
  const nearest = others.find((issue) => !wrong_kind.includes(issue));
  if (nearest === undefined) return "has none of the forms it may have";
  const at = (nearest.path ?? []).map(String).join(".");
  return `${at === "" ? "" : `${at} `}${nearest.message ?? "is not valid"}`;
}

const shown_max = 10;

/** `a, b or c`; of many only the first. */
function listOf(items: readonly string[], word: string): string {
  const some = items.slice(0, shown_max).map((item) => (item.length > 60 ? `${item.slice(0, 60)}…` : item));
  if (items.length > shown_max) return `${some.join(", ")} ${word} one of ${items.length - shown_max} more`;
  return some.length < 2 ? (some[0] ?? "nothing") : `${some.slice(0, -1).join(", ")} ${word} ${some.at(-1)}`;
}
