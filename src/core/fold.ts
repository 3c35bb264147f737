/**
 * Case folding: the one rule by which two texts "differ only by case", wherever an attribute is not case-exact:
 * comparing accounts, matching imports, searching, uniqueness.
 *
 * Law: it folds one code point to one code point without looking at its neighbours, which is what PostgreSQL's `lower`
 * does under C.UTF-8. So a search answers the same whether SQL or memory answers it. (`toLowerCase` looks around: it
 * turns a final sigma into another letter, and İ into two.)
 */

const ascii = /^[ -~]*$/;

/** The text with every code point in lower case. Idempotent; the number of code points stays. */
export function foldCase(text: string): string {
  if (ascii.test(text)) return text.toLowerCase();
  let folded = "";
  for (const letter of text) folded += foldLetter(letter);
  return folded;
}

function foldLetter(letter: string): string {
  const lower = letter.toLowerCase();
  const first = lower.codePointAt(0);
  return first === undefined ? letter : String.fromCodePoint(first);
}
