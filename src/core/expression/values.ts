/**
 * What values of the language do, whichever function asks: be equal, be ordered, be written as text. Texts are sequences
 * of characters (Unicode code points), so an emoji is one character and is never cut in half; this is also how
 * PostgreSQL counts, which is why both back ends agree. All total: any value in, a value out.
 */
import type { Value } from "../types.ts";

const surrogate = /[\ud800-\udfff]/;

/** Number of characters. */
export function characters(text: string): number {
  if (!surrogate.test(text)) return text.length;
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** Characters from `start` (0-based) up to `end`; places outside the text mean its edges. */
export function slice(text: string, start: number, end: number): string {
  const from = Math.max(0, start);
  if (!surrogate.test(text)) return text.slice(from, Math.max(from, end));
  return [...text].slice(from, Math.max(from, end)).join("");
}

/**
 * Order of two texts by character code: negative, 0 or positive. UTF-16 order would put characters above U+FFFF before
 * U+E000; this does not, so it equals PostgreSQL's `collate "C"`.
 */
export function compareTexts(left: string, right: string): number {
  const shorter = Math.min(left.length, right.length);
  for (let index = 0; index < shorter; index += 1) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b) return rank(a) - rank(b);
  }
  return left.length - right.length;
}

/** Moves surrogates above every other UTF-16 unit. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** A number in plain digits, never with an exponent: `1e21` → `1000000000000000000000`; -0 → `0`. */
export function numberText(value: number): string {
  const short = String(value);
  const [digits, exponent] = short.split("e");
  if (exponent === undefined) return short;
  const sign = digits!.startsWith("-") ? "-" : "";
  const [whole, fraction = ""] = digits!.replace("-", "").split(".");
  const shift = Number(exponent);
  if (shift < 0) return `${sign}0.${"0".repeat(-shift - 1)}${whole}${fraction}`;
  return `${sign}${whole}${fraction.padEnd(shift, "0")}`;
}

/** A value as text for `+` and its like; null when it has none (null, lists, objects). */
export function textOf(value: Value): string | null {
  if (typeof value === "string") return value;
  if (typeof value === "number") return numberText(value);
  return typeof value === "boolean" ? String(value) : null;
}

/** Structural equality; null equals null, and the order of an object's keys does not count. */
export function same(left: Value, right: Value): boolean {
  if (left === right) return true;
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false;
  if (isArray(left) || isArray(right)) {
    if (!isArray(left) || !isArray(right) || left.length !== right.length) return false;
    return left.every((item, index) => same(item, right[index]!));
  }
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every((key) => Object.hasOwn(right, key) && same(left[key]!, right[key]!));
}

/** `Array.isArray` for readonly arrays. */
export function isArray(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

/** Texts of a comma-separated text; an empty text is an empty list. */
export function splitCsv(text: string): readonly string[] {
  return text === "" ? [] : text.split(",");
}

/** An own property, never an inherited one: `__proto__` and `constructor` are ordinary absent names. */
export function own(object: Readonly<Record<string, Value>> | null | undefined, name: string): Value {
  return object && Object.hasOwn(object, name) ? (object[name] ?? null) : null;
}
