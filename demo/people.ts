/**
 * The people of Meridian Instruments, an invented maker of measuring instruments: as many as asked for, always the same
 * ones for the same seed. Used by the demo company (250 people) and by benchmarks (a million).
 *
 * Law: a person is computed from their number alone, so a list of any length needs no memory and can begin anywhere.
 * Everyone has an address of their own, and managers form one tree whose root is number 0.
 *
 * The oddities of a real HR file (two people of one name, an address entered twice, a manager who is not in the file)
 * are put in by hrFile.ts, because a benchmark wants none of them.
 */
import { department_shares, departments, type Name, type Place, places, shares } from "./names.ts";

/** A row of the HR file; the column names are these. Dates as YYYY-MM-DD, "" for none. */
export type HrRow = Readonly<{
  employeeNumber: string;
  login: string;
  firstName: string;
  lastName: string;
  email: string;
  title: string;
  department: string;
  division: string;
  costCenter: string;
  countryCode: string;
  city: string;
  managerEmployeeNumber: string;
  userType: "employee" | "contractor";
  startDate: string;
  endDate: string;
  status: "active" | "terminated";
}>;

export const domain = "meridian.example";
export const company_name = "Meridian Instruments";

const day_ms = 86_400_000;
/** People who report to one person. */
const span = 7;
const employee_number_first = 10_000;

/** A number in [0, 2^32) that depends on all of the given ones (a 32-bit finaliser over each in turn). */
function mixed(...numbers: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const number of numbers) {
    hash = Math.imul(hash ^ (number >>> 0), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}

/**
 * Deals the numbers 0, 1, 2 … to hands with shares, evenly: a hand with share 5 of 20 gets five of every twenty. Both
 * directions are arithmetic: whose is number i and their how-manieth, and which number is the k-th of a hand.
 */
function deal(hands: readonly Readonly<{ share: number }>[], total: number) {
  // The hand that is most behind its share comes next, so that small companies have every department, too.
  const order: number[] = [];
  const dealt = hands.map(() => 0);
  while (order.length < total) {
    const behind = hands.map(({ share }, hand) => ((order.length + 1) * share) / total - dealt[hand]!);
    const next = behind.indexOf(Math.max(...behind));
    dealt[next]! += 1;
    order.push(next);
  }
  const slots = hands.map((_, hand) => order.flatMap((one, slot) => (one === hand ? [slot] : [])));
  return {
    of(i: number): Readonly<{ hand: number; k: number }> {
      const slot = i % total;
      const hand = order[slot]!;
      return { hand, k: Math.floor(i / total) * slots[hand]!.length + slots[hand]!.indexOf(slot) };
    },
    at(hand: number, k: number): number {
      const own = slots[hand]!;
      return Math.floor(k / own.length) * total + own[k % own.length]!;
    },
  };
}

const byDepartment = deal(departments, department_shares);
const byPlace = deal(places, shares);

/** The personnel number of person i. */
export function employeeNumber(i: number): string {
  return `M${employee_number_first + i}`;
}

/**
 * The k-th name of a place: every pair of first and family name comes once before any comes again, in an order that
 * looks like none. `round`: how often this pair was there before.
 */
function nameAt(place: Place, k: number, seed: number): Readonly<{ first: Name; last: Name; round: number }> {
  const pairs = place.first.length * place.last.length;
  const at = k % pairs;
  // Families in turn; the first names begin elsewhere for each turn, so that neighbours share neither.
  const last = (at + mixed(seed, 1)) % place.last.length;
  const turn = Math.floor(at / place.last.length);
  const first = (turn + last * 5 + mixed(seed, 2)) % place.first.length;
  return { first: place.first[first]!, last: place.last[last]!, round: Math.floor(k / pairs) };
}

function isoDate(time_ms: number): string {
  return new Date(time_ms).toISOString().slice(0, 10);
}

/** The address of someone with this name; `round` > 0: the name was there before. */
export function addressOf(first: Name, last: Name, round: number): string {
  return `${first[1]}.${last[1]}${round === 0 ? "" : round + 1}@${domain}`;
}

function work(i: number) {
  const { hand, k } = byDepartment.of(i - 1);
  const { ladder, name, division, costCenter } = departments[hand]!;
  const depth = k === 0 ? 0 : k <= span ? 1 : k <= span + span * span ? 2 : 3;
  const manager = k === 0 ? 0 : 1 + byDepartment.at(hand, Math.floor((k - 1) / span));
  const report = 1 + byDepartment.at(hand, k * span + 1);
  const title = ladder[Math.min(depth, ladder.length - 1)]!;
  return { title, department: name, division, costCenter, manager: employeeNumber(manager), report, depth };
}

const top = {
  ...{ title: "Chief Executive Officer", department: "Management", division: "Corporate", costCenter: "7000" },
  ...{ manager: "", report: 1, depth: 0 },
};

/**
 * Person i of a company of n. `today` (YYYY-MM-DD): hires lie before it and contracts end after it.
 * One in eight of those who lead nobody is a contractor.
 */
export function personAt(i: number, n: number, seed: number, today: string): HrRow {
  const { hand, k } = byPlace.of(i);
  const place = places[hand]!;
  const { first, last, round } = nameAt(place, k, seed);
  const { title, department, division, costCenter, manager, report, depth } = i === 0 ? top : work(i);
  const contractor = report >= n && depth > 0 && mixed(seed, i, 3) % 8 === 0;
  const start = Date.parse(today) - day_ms * (30 + (mixed(seed, i, 4) % (contractor ? 300 : 5_000)));
  const email = addressOf(first, last, round);
  return {
    employeeNumber: employeeNumber(i),
    login: email,
    firstName: first[0],
    lastName: last[0],
    email,
    title: contractor ? `${title} (contract)` : title,
    department,
    division,
    costCenter,
    countryCode: place.country,
    city: place.city,
    managerEmployeeNumber: manager,
    userType: contractor ? "contractor" : "employee",
    startDate: isoDate(start),
    endDate: contractor ? isoDate(Date.parse(today) + day_ms * (60 + (mixed(seed, i, 5) % 300))) : "",
    status: "active",
  };
}

/** The first n people, one after the other: nothing is held in memory. */
export function* people(n: number, seed: number, today = "2026-01-01"): Generator<HrRow> {
  for (let i = 0; i < n; i++) yield personAt(i, n, seed, today);
}
