/**
 * Joda's date patterns, which Okta's time functions take: letters for fields (`yyyy-MM-dd HH:mm:ss`), texts in single
 * quotes, everything else itself. One table of fields serves writing and reading. Names of months and days are English.
 */
import { offsetText, type Wall } from "./zones.ts";

/** A pattern taken apart: fields with how often their letter stands, and texts. */
export type JodaPart = Readonly<{ letter: string; count: number }> | Readonly<{ text: string }>;

const letters = "GCYyxweEDMdaKhHkmsSzZ";
const months = "January February March April May June July August September October November December".split(" ");
const days = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(" ");
const pattern_max = 200;

/** The parts of a pattern, or what is wrong with it. */
export function parseJoda(pattern: string): Readonly<{ ok: readonly JodaPart[] }> | Readonly<{ message: string }> {
  if (pattern.length > pattern_max) return { message: `The format is longer than ${pattern_max} characters.` };
  const parts: JodaPart[] = [];
  for (let index = 0; index < pattern.length; ) {
    const character = pattern[index]!;
    if (character === "'") {
      const quoted = /^'((?:[^']|'')*)'/.exec(pattern.slice(index));
      if (!quoted) return { message: "The format has a ' without its partner." };
      parts.push({ text: quoted[0] === "''" ? "'" : quoted[1]!.replaceAll("''", "'") });
      index += quoted[0].length;
    } else if (/[A-Za-z]/.test(character)) {
      if (!letters.includes(character))
        return { message: `The format has the unknown letter ${character}; put texts in single quotes.` };
      const run = new RegExp(`^${character}+`).exec(pattern.slice(index))![0];
      parts.push({ letter: character, count: run.length });
      index += run.length;
    } else {
      parts.push({ text: character });
      index += 1;
    }
  }
  return { ok: parts };
}

/** The wall clock written in a pattern; `zone` names the zone for `z` and `ZZZ`. */
export function formatJoda(parts: readonly JodaPart[], wall: Wall, zone: string): string {
  return parts.map((part) => ("text" in part ? part.text : formatField(part.letter, part.count, wall, zone))).join("");
}

function formatField(letter: string, count: number, wall: Wall, zone: string): string {
  const padded = (value: number): string => String(value).padStart(count, "0");
  const date = Date.UTC(wall.year, wall.month - 1, wall.day);
  const weekday = ((new Date(date).getUTCDay() + 6) % 7) + 1;
  switch (letter) {
    case "G":
      return wall.year > 0 ? "AD" : "BC";
    case "C":
      return padded(Math.floor(wall.year / 100));
    case "Y":
    case "y":
      return count === 2 ? String(wall.year % 100).padStart(2, "0") : padded(wall.year);
    case "x":
      return count === 2 ? String(isoWeek(date).year % 100).padStart(2, "0") : padded(isoWeek(date).year);
    case "w":
      return padded(isoWeek(date).week);
    case "e":
      return padded(weekday);
    case "E":
      return count >= 4 ? days[weekday - 1]! : days[weekday - 1]!.slice(0, 3);
    case "D":
      return padded(Math.round((date - Date.UTC(wall.year, 0, 1)) / 86_400_000) + 1);
    case "M":
      if (count >= 3) return count >= 4 ? months[wall.month - 1]! : months[wall.month - 1]!.slice(0, 3);
      return padded(wall.month);
    case "d":
      return padded(wall.day);
    case "S":
      return String(wall.ms).padStart(3, "0").padEnd(count, "0").slice(0, count);
    case "z":
      return wall.offset_ms === 0 ? "UTC" : /[A-Za-z]/.test(zone) ? zone : offsetText(wall.offset_ms, true);
    case "Z":
      return count >= 3 ? zone : offsetText(wall.offset_ms, count === 2);
    default:
      return formatClock(letter, wall, padded);
  }
}

function formatClock(letter: string, wall: Wall, padded: (value: number) => string): string {
  switch (letter) {
    case "a":
      return wall.hour < 12 ? "AM" : "PM";
    case "K":
      return padded(wall.hour % 12);
    case "h":
      return padded(wall.hour % 12 || 12);
    case "H":
      return padded(wall.hour);
    case "k":
      return padded(wall.hour || 24);
    case "m":
      return padded(wall.minute);
    default:
      return padded(wall.second);
  }
}

function isoWeek(date_ms: number): Readonly<{ year: number; week: number }> {
  const thursday = new Date(date_ms);
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (thursday.getUTCDay() || 7));
  const year = thursday.getUTCFullYear();
  return { year, week: Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / 604_800_000) + 1 };
}

/** What a text says under a pattern. The time is on the wall of `zone`, or in UTC when the text names none. */
export type JodaTime = Readonly<{ wall_ms: number; zone: string | null; offset_ms: number | null }>;

/** Reads a text by a pattern; null when it does not fit, or names a day or time that does not exist. */
export function readJoda(parts: readonly JodaPart[], text: string): JodaTime | null {
  const fields: Record<string, number> = {};
  let rest = text;
  let zone: string | null = null;
  for (const [index, part] of parts.entries()) {
    if ("text" in part) {
      if (!rest.startsWith(part.text)) return null;
      rest = rest.slice(part.text.length);
      continue;
    }
    const next = parts[index + 1];
    const read = readField(part.letter, part.count, rest, next !== undefined && "letter" in next);
    if (!read) return null;
    if (part.letter === "Z" || part.letter === "z") zone = read.text;
    else fields[part.letter === "Y" ? "y" : part.letter] = read.value;
    rest = rest.slice(read.text.length);
  }
  return rest === "" ? timeOf(fields, zone) : null;
}

type ReadField = Readonly<{ text: string; value: number }>;

function readField(letter: string, count: number, rest: string, tight: boolean): ReadField | null {
  if (letter === "M" && count >= 3) return readName(months, rest);
  if (letter === "E") return readName(days, rest);
  if (letter === "a") return readName(["AM", "PM"], rest);
  if (letter === "G") return readName(["BC", "AD"], rest);
  if (letter === "Z" || letter === "z") {
    const text = /^(?:Z|[+-]\d{2}:?\d{2}|[A-Za-z][A-Za-z0-9_+/-]*)/.exec(rest)?.[0];
    return text === undefined ? null : { text, value: 0 };
  }
  // Fields that touch have exactly the width written; others take as many digits as there are.
  const width = letter === "S" ? 9 : letter === "y" || letter === "Y" ? 4 : 3;
  const text = new RegExp(`^\\d{1,${tight ? count : Math.max(count, width)}}`).exec(rest)?.[0];
  if (text === undefined) return null;
  if (letter === "S") return { text, value: Math.trunc(Number(`0.${text}`) * 1000 + 1e-9) };
  const value = Number(text);
  // Joda's pivot for years of two digits: from 30 years back would need a clock, so 1970 to 2069.
  if ((letter === "y" || letter === "Y") && count === 2 && text.length === 2)
    return { text, value: value + (value < 70 ? 2000 : 1900) };
  return { text, value };
}

/** Whole names before their short forms; upper and lower case do not differ. */
function readName(names: readonly string[], rest: string): ReadField | null {
  const lower = rest.toLowerCase();
  for (const length of [Number.POSITIVE_INFINITY, 3]) {
    const index = names.findIndex((name) => lower.startsWith(name.slice(0, length).toLowerCase()));
    if (index >= 0) return { text: rest.slice(0, names[index]!.slice(0, length).length), value: index + 1 };
  }
  return null;
}

function timeOf(fields: Record<string, number>, zone: string | null): JodaTime | null {
  const { y: year = 1970, D: day_of_year } = fields;
  const month = fields["M"] ?? 1;
  const day = fields["d"] ?? 1;
  const hour = hourOf(fields);
  const { m: minute = 0, s: second = 0, S: ms = 0 } = fields;
  const shown = new Date(0);
  if (day_of_year === undefined) shown.setUTCFullYear(year, month - 1, day);
  else shown.setUTCFullYear(year, 0, day_of_year);
  const real = day_of_year !== undefined || (shown.getUTCMonth() === month - 1 && shown.getUTCDate() === day);
  if (!real || shown.getUTCFullYear() !== year || hour > 23 || minute > 59 || second > 59) return null;
  shown.setUTCHours(hour, minute, second, ms);
  const offset = zone === null ? null : /^([+-])(\d{2}):?(\d{2})$/.exec(zone);
  if (zone === "Z" || !offset) return { wall_ms: shown.getTime(), zone: zone === "Z" ? "UTC" : zone, offset_ms: null };
  const offset_ms = (Number(offset[2]) * 60 + Number(offset[3])) * 60_000 * (offset[1] === "-" ? -1 : 1);
  return { wall_ms: shown.getTime(), zone: null, offset_ms };
}

function hourOf(fields: Record<string, number>): number {
  const { H, k, K, h, a } = fields;
  if (H !== undefined) return H;
  if (k !== undefined) return k % 24;
  return (K ?? (h === undefined ? 0 : h % 12)) + (a === 2 ? 12 : 0);
}
