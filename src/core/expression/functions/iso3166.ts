/**
 * `Iso3166Convert.*`: between the four ways a country is written. The form of the input is found by itself: two letters,
 * three letters, three digits, or the English name; upper and lower case do not differ. An unknown country gives null.
 */
import { countries } from "./countries.ts";
import { declare, type FunctionDeclaration, parameters } from "./declaration.ts";

type Country = Readonly<{ alpha2: string; alpha3: string; numeric: string; name: string }>;

const all: readonly Country[] = countries
  .trim()
  .split("\n")
  .map((line) => ({
    alpha2: line.slice(0, 2),
    alpha3: line.slice(3, 6),
    numeric: line.slice(7, 10),
    name: line.slice(11),
  }));

const by_any_form: ReadonlyMap<string, Country> = new Map(
  all.flatMap((country) => Object.values(country).map((form) => [form.toLowerCase(), country])),
);

/** The country that a code or name means, or null. A number that lost its leading zeros is still its code. */
export function countryOf(text: string): Country | null {
  const form = text.trim().toLowerCase();
  return by_any_form.get(/^\d{1,2}$/.test(form) ? form.padStart(3, "0") : form) ?? null;
}

function converter(
  name: string,
  form: keyof Country,
  words: string,
  example: readonly [string, string],
): FunctionDeclaration {
  return declare<[string]>({
    name: `Iso3166Convert.${name}`,
    parameters: parameters({ country: "string" }),
    result: "string",
    nulls: { give: null },
    evaluate: (_, text) => countryOf(text)?.[form] ?? null,
    summary: `The country's ${words}, from any of its codes or its name; null when unknown.`,
    example: [`Iso3166Convert.${name}("${example[0]}")`, example[1]],
  });
}

export const iso3166_functions: readonly FunctionDeclaration[] = [
  converter("toAlpha2", "alpha2", "code of two letters", ["IND", "IN"]),
  converter("toAlpha3", "alpha3", "code of three letters", ["840", "USA"]),
  converter("toNumeric", "numeric", "code of three digits", ["USA", "840"]),
  converter("toName", "name", "English name", ["IN", "India"]),
];
