/**
 * Upper and lower case, one character at a time: no language (Turkish i), no neighbours (a final Greek sigma becomes σ).
 * The result is a pure function of each character, so the same table can be sent to PostgreSQL, whose own functions
 * differ by version and locale. Characters with a longer counterpart (ß → SS) are kept apart in the table.
 */

export type CaseTable = Readonly<{
  /** Characters and, at the same place in `to`, their counterparts. */
  from: string;
  to: string;
  /** Characters whose counterpart is several characters. */
  longer: readonly (readonly [string, string])[];
}>;

/** The last character with case is of the Adlam script, below U+1E944. */
const cased_end = 0x1e944;

const tables: { upper?: CaseTable; lower?: CaseTable } = {};

/** Every character that the case change moves; made on first use, in some 10 ms. */
export function caseTable(to: "upper" | "lower"): CaseTable {
  tables[to] ??= makeTable(to === "upper" ? (character) => character.toUpperCase() : (c) => c.toLowerCase());
  return tables[to];
}

function makeTable(change: (character: string) => string): CaseTable {
  let from = "";
  let to = "";
  const longer: [string, string][] = [];
  for (let code = 0; code < cased_end; code += 1) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const character = String.fromCodePoint(code);
    const changed = change(character);
    if (changed === character) continue;
    if ([...changed].length > 1) longer.push([character, changed]);
    else {
      from += character;
      to += changed;
    }
  }
  return Object.freeze({ from, to, longer });
}

export function toUpperCase(text: string): string {
  return text.toUpperCase();
}

/** Σ is the one letter whose small form depends on its neighbours in JavaScript. */
export function toLowerCase(text: string): string {
  return text.includes("Σ")
    ? text
        .split("Σ")
        .map((part) => part.toLowerCase())
        .join("σ")
    : text.toLowerCase();
}
