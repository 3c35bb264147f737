/**
 * The working lives of an invented company as its HR clerks keep them, day by day from a seed: hires ahead of time and
 * late, moves, leaves, absences, conversions, second jobs, returns (some under another number), and every kind of second
 * thought: taken back, put off, corrected, entered after the fact. It knows nothing of Tenure.
 */
import { seeded } from "../support/world.ts";

/** A day as a number; 0 is the first day of the history. */
export type Day = number;

/** One row of the file. */
export type Job = {
  from: Day;
  to: Day | null;
  department: string;
  primary: boolean;
  active: boolean;
};

export type Person = {
  n: number;
  /** The id of their rows; a return may bring another one. */
  id: string;
  last: string;
  zone: string;
  jobs: Job[];
  last_day: Day | null;
  away: { from: Day; to: Day | null } | null;
  /** HR has them in its list. */
  listed: boolean;
};

export type History = Readonly<{
  people: readonly Person[];
  /** What the clerks did so far, by name. */
  deeds: Readonly<Record<string, number>>;
  /** The clerks do a day's work. */
  work(today: Day): void;
}>;

const zones = ["UTC", "Europe/Rome", "America/New_York", "Asia/Tokyo"] as const;
const departments = ["Mills", "Sales", "Payments", "Care", "Law", "Dyeing"] as const;

type Chance = Readonly<{ one(): number; upTo(n: number): number; pick<T>(some: readonly T[]): T }>;

function chanceOf(seed: number): Chance {
  const one = seeded(seed * 7_919 + 13);
  const upTo = (n: number) => Math.floor(one() * n);
  return { one, upTo, pick: (some) => some[upTo(some.length)] as (typeof some)[number] };
}

/** A company of so many people, of whom most are there on the first day. */
export function history(count: number, seed: number, days: number): History {
  const chance = chanceOf(seed);
  const deeds: Record<string, number> = {};
  const people = Array.from({ length: count }, (_, n) => person(n, chance));
  const comes = people.map(() => (chance.one() < 0.7 ? 0 : chance.upTo(days)));
  return {
    people,
    deeds,
    work(today) {
      for (const [n, one] of people.entries()) {
        if (comes[n] === today) deed(deeds, "hire", () => hire(one, today, chance));
        // Some deeds a year for each person, and as many in a short history.
        else if (one.jobs.length > 0 && chance.one() < Math.max(0.012, 5 / days)) act(one, today, chance, deeds);
      }
    },
  };
}

const person = (n: number, chance: Chance): Person => ({
  ...{
    n,
    id: `P${n}`,
    last: `Name${n}`,
    zone: chance.pick(zones),
    jobs: [],
    last_day: null,
    away: null,
    listed: false,
  },
});

function deed(deeds: Record<string, number>, name: string, work: () => boolean): boolean {
  const done = work();
  if (done) deeds[name] = (deeds[name] ?? 0) + 1;
  return done;
}

const job = (from: Day, department: string, to: Day | null = null): Job => ({
  ...{ from, to, department, primary: false, active: true },
});

/** Ahead of time, or late; on the first day of the history, long ago. */
function hire(one: Person, today: Day, chance: Chance): boolean {
  const from = today === 0 ? today - 1 - chance.upTo(900) : today + chance.upTo(60) - 15;
  one.jobs = [
    job(from, chance.pick(departments), chance.one() < 0.15 ? Math.max(from, today) + 30 + chance.upTo(300) : null),
  ];
  one.listed = true;
  return true;
}

const current = (one: Person, today: Day) =>
  one.jobs.findLast((each) => each.from <= today && (each.to === null || each.to >= today));
const last = (one: Person) => one.jobs.reduce((a, b) => ((b.to ?? 1e9) > (a.to ?? 1e9) ? b : a));
const over = (one: Person, today: Day) => one.jobs.every(({ to }) => to !== null && to < today);
const plain = (one: Person) => one.jobs.every(({ active }) => active) && one.last_day === null;

/** A day on which something is told: mostly ahead, sometimes after the fact. */
const told = (today: Day, chance: Chance) => today + chance.upTo(50) - 12;

type Deed = (one: Person, today: Day, chance: Chance) => boolean;

/** What a clerk may do about someone; false: it does not apply to them now. */
const acts: Readonly<Record<string, Deed>> = {
  move(one, today, chance) {
    const now = current(one, today);
    const from = told(today, chance);
    if (!one.listed || !plain(one) || now === undefined || now !== one.jobs.at(-1) || from <= now.from) return false;
    if (now.to !== null && from > now.to) return false;
    one.jobs.push(job(from, chance.pick(departments), now.to));
    now.to = from - 1;
    return true;
  },
  take_back_move(one, today) {
    const ahead = one.jobs.at(-1);
    const before = one.jobs.at(-2);
    if (
      !one.listed ||
      ahead === undefined ||
      before === undefined ||
      ahead.from <= today ||
      before.to !== ahead.from - 1
    )
      return false;
    one.jobs.pop();
    before.to = ahead.to;
    return true;
  },
  correct(one, _today, chance) {
    if (!one.listed) return false;
    chance.pick(one.jobs).department = chance.pick(departments);
    return true;
  },
  put_off(one, today, chance) {
    const [first] = one.jobs;
    if (!one.listed || one.jobs.length !== 1 || first === undefined || !plain(one)) return false;
    if (first.from < today - 10 || (first.to !== null && first.to < today + 40)) return false;
    first.from = today + 1 + chance.upTo(20);
    return true;
  },
  bring_forward(one, today, chance) {
    const [first] = one.jobs;
    if (!one.listed || one.jobs.length !== 1 || first === undefined || first.from <= today) return false;
    first.from = today - chance.upTo(5);
    return true;
  },
  cancel_hire(one, today, chance) {
    if (!one.listed || one.jobs.length !== 1 || (one.jobs[0]?.from ?? 0) <= today) return false;
    if (chance.one() < 0.5) one.listed = false;
    else for (const each of one.jobs) each.active = false;
    return true;
  },
  leave(one, today, chance) {
    const open = last(one);
    const to = told(today, chance);
    if (!one.listed || !plain(one) || open.to !== null || to < open.from) return false;
    open.to = to;
    if (one.jobs.length === 1 && chance.one() < 0.3) one.last_day = Math.max(open.from, to - chance.upTo(20));
    return true;
  },
  withdraw_leave(one) {
    const ends = last(one);
    if (!one.listed || ends.to === null || ends.to < ends.from) return false;
    ends.to = null;
    one.last_day = null;
    return true;
  },
  prolong(one, today, chance) {
    const ends = last(one);
    if (!one.listed || ends.to === null || one.last_day !== null) return false;
    ends.to = Math.max(ends.to, today) + chance.upTo(60);
    return true;
  },
  /** Leavers are dropped from the list, some before anyone wrote their last day. */
  drop(one, today, chance) {
    if (!one.listed || (!over(one, today) && chance.one() < 0.8)) return false;
    one.listed = false;
    return true;
  },
  list_again(one, _today, chance) {
    if (one.listed || chance.one() < 0.5) return false;
    one.listed = true;
    return true;
  },
  say_left(one, _today, chance) {
    if (!one.listed || chance.one() < 0.5) return false;
    for (const each of one.jobs) each.active = false;
    return true;
  },
  say_active(one) {
    if (one.jobs.every(({ active }) => active)) return false;
    for (const each of one.jobs) each.active = true;
    return true;
  },
  /** One record ends, the other begins the day after. */
  convert(one, today, chance) {
    const ends = one.jobs.at(-1);
    if (!one.listed || !plain(one) || ends?.to == null || ends !== last(one) || ends.to < today - 5) return false;
    one.jobs.push(job(ends.to + 1, chance.pick(departments)));
    return true;
  },
  come_back(one, today, chance) {
    if (!over(one, today)) return false;
    // A new number comes with a new record; with the old one goes what was known of the past.
    const renumbered = !one.listed && chance.one() < 0.5;
    const again = job(Math.max(told(today, chance), (last(one).to ?? today) + 2), chance.pick(departments));
    one.jobs = renumbered || chance.one() < 0.4 ? [again] : [...one.jobs.filter(({ active }) => active), again];
    if (renumbered) one.id = `R${one.n}-${today}`;
    Object.assign(one, { listed: true, last_day: null, away: null });
    return true;
  },
  second_job(one, today, chance) {
    const main = current(one, today);
    if (!one.listed || !plain(one) || main === undefined || one.jobs.length > 3) return false;
    main.primary = chance.one() < 0.7;
    const from = Math.max(main.from + 1, told(today, chance));
    if (one.jobs.some((each) => each.from === from)) return false;
    one.jobs.push(job(from, chance.pick(departments), from + 20 + chance.upTo(100)));
    return true;
  },
  absence(one, today, chance) {
    if (!one.listed || current(one, today) === undefined) return false;
    const from = told(today, chance);
    one.away = { from, to: chance.one() < 0.3 ? null : from + chance.upTo(60) };
    return true;
  },
  end_absence(one, today, chance) {
    if (one.away === null) return false;
    if (chance.one() < 0.5) one.away = null;
    else one.away.to = Math.max(one.away.from, today - chance.upTo(3));
    return true;
  },
  name_change(one, today) {
    if (!one.listed) return false;
    one.last = `Name${one.n}x${today}`;
    return true;
  },
};

/** Something that applies: the deeds that are rarely possible are as likely as the others when they are. */
function act(one: Person, today: Day, chance: Chance, deeds: Record<string, number>): void {
  const names = Object.keys(acts);
  for (let tries = 0; tries < 6; tries++) {
    const name = chance.pick(names);
    if (deed(deeds, name, () => acts[name]?.(one, today, chance) ?? false)) return;
  }
}
