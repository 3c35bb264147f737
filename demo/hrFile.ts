/**
 * The HR file of Meridian Instruments: the generated people with the oddities every real file has, as CSV; and what each
 * step of the story changes in it. Pure: a change takes rows and gives rows.
 */
import { domain, employeeNumber, type HrRow, people, personAt } from "./people.ts";

export const columns = [
  ...(["employeeNumber", "login", "firstName", "lastName", "email", "title", "department", "division"] as const),
  ...(["costCenter", "countryCode", "city", "managerEmployeeNumber", "userType"] as const),
  ...(["startDate", "endDate", "status"] as const),
] satisfies (keyof HrRow)[];

/** The rows as CSV (RFC 4180), line by line. */
export function* csvLines(rows: Iterable<HrRow>): Generator<string> {
  yield `${columns.join(",")}\r\n`;
  for (const row of rows) yield `${columns.map((column) => cell(row[column])).join(",")}\r\n`;
}

function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Which rows are odd, by employee number. `doubled` has the address of `original`; `lost_manager` is in no row. */
export type Oddities = Readonly<{
  namesakes: readonly [string, string];
  original: string;
  doubled: string;
  orphaned: string;
  lost_manager: string;
  /** A contractor whose last day comes in `ending_days` days, before any other contract ends. */
  ending: string;
}>;

/** Fewer people would leave parts of the story without anyone to play them. */
export const people_min = 200;
export const ending_days = 10;

/** The company's file: n people and one row more, whose address is somebody else's. At least 200 people. */
export function hrRows(n: number, seed: number, today: string): Readonly<{ rows: readonly HrRow[]; odd: Oddities }> {
  if (n < people_min) throw new Error(`the demo company needs at least ${people_min} people, not ${n}`);
  const rows = [...people(n, seed, today)];
  const [one, other, original, orphaned, ending] = [n - 9, n - 6, n - 4, n - 3, n - 2] as const;
  const { firstName, lastName, login } = rows[one]!;
  const address = `${login.split("@")[0]}.2@${domain}`;
  rows[other] = { ...rows[other]!, firstName, lastName, login: address, email: address };
  const lost_manager = "M99999";
  rows[orphaned] = { ...rows[orphaned]!, managerEmployeeNumber: lost_manager };
  rows[ending] = { ...rows[ending]!, userType: "contractor", endDate: addDays(today, ending_days) };
  const taken = rows[original]!;
  const doubled = { ...personAt(n, n + 1, seed, today), login: taken.login, email: taken.email };
  const odd: Oddities = {
    namesakes: [employeeNumber(one), employeeNumber(other)],
    original: taken.employeeNumber,
    doubled: doubled.employeeNumber,
    orphaned: employeeNumber(orphaned),
    lost_manager,
    ending: employeeNumber(ending),
  };
  return { rows: [...rows, doubled], odd };
}

/** A day so many days later, as YYYY-MM-DD. */
export function addDays(day: string, days: number): string {
  return new Date(Date.parse(day) + days * 86_400_000).toISOString().slice(0, 10);
}

/** The rows with one more: someone who starts today in a department, under its first lead. */
export function hire(rows: readonly HrRow[], newcomer: HrRow): HrRow[] {
  return [...rows, newcomer];
}

/** The rows with some columns of one person changed: a promotion, a move, the end of a contract … */
export function change(rows: readonly HrRow[], employee: string, to: Partial<HrRow>): HrRow[] {
  return rows.map((row) => (row.employeeNumber === employee ? { ...row, ...to } : row));
}

/** The rows in which somebody left. */
export function leave(rows: readonly HrRow[], employee: string, today: string): HrRow[] {
  return change(rows, employee, { status: "terminated", endDate: today });
}

/** The rows in which somebody who had left is back, from today on. */
export function comeBack(rows: readonly HrRow[], employee: string, today: string): HrRow[] {
  return change(rows, employee, { status: "active", startDate: today, endDate: "" });
}
