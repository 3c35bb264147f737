/**
 * What happens next in the company of the kill test. Half of a wave falls on people whom the wave before changed, and much
 * of that takes back what was done: a claim outlives its killed node by a minute, and the change that was caught between
 * call and confirm must not be mistaken for one that never happened.
 */
import { type Change, hire, move, reassign, regroup, rename, renameGroup, retitle, turn } from "./changes.ts";
import { app_keys, type Company, departments, type Group, type GroupKey, hand_groups, type Person } from "./company.ts";

/** A number in [0, 1). */
export type Draw = () => number;

const pick = <T>(from: readonly T[], draw: Draw): T => from[Math.floor(draw() * from.length)] as T;

/** What may happen to somebody who is here, each as likely as it is listed. */
const lives = [
  ...Array<"move">(5).fill("move"),
  ...Array<"rename">(3).fill("rename"),
  ...Array<"retitle">(2).fill("retitle"),
  ...Array<"leave">(4).fill("leave"),
  ...Array<"regroup">(4).fill("regroup"),
  ...Array<"reassign">(3).fill("reassign"),
  "suspend",
] as const;

function lifeOf(company: Company, person: Person, draw: Draw): Change {
  switch (pick(lives, draw)) {
    case "move": {
      // There and back again, half of the time.
      const home = departments[person.number % departments.length] ?? "Sales";
      const back = person.department !== home && draw() < 0.6;
      return move(
        person,
        back
          ? home
          : pick(
              departments.filter((one) => one !== person.department),
              draw,
            ),
      );
    }
    case "rename":
      return rename(person, person.login !== person.first_login && draw() < 0.5 ? 1 : person.logins + 1);
    case "retitle":
      return retitle(
        person,
        pick(
          ["Associate", "Lead", null].filter((one) => one !== person.title),
          draw,
        ),
      );
    case "leave":
      return turn(person, "deactivate");
    case "suspend":
      return turn(person, "suspend");
    case "regroup": {
      const key: GroupKey = pick(hand_groups, draw);
      return regroup(person, company.groups.get(key) as Group, !person.hand.has(key));
    }
    case "reassign": {
      const app = pick(app_keys, draw);
      return reassign(company, person, app, !person.own.has(app));
    }
  }
}

function changeOf(company: Company, person: Person, draw: Draw): Change {
  if (person.state === "gone") return turn(person, "activate");
  if (person.state === "suspended") return turn(person, draw() < 0.5 ? "unsuspend" : "deactivate");
  return lifeOf(company, person, draw);
}

/**
 * One wave: at most `hires` new people, and `size` changes to others; each person once.
 *
 * @param recent whom the wave before changed; they are replaced by those of this wave.
 */
export function drawWave(
  company: Company,
  draw: Draw,
  { size, hires, recent }: Readonly<{ size: number; hires: number; recent: Set<Person> }>,
): Change[] {
  const crowd = company.people.map((person) => ({ person, at: draw() })).sort((a, b) => a.at - b.at);
  const people = crowd.map(({ person }) => person);
  const known = people.filter(({ state }) => state !== "absent");
  const again = known.filter((person) => recent.has(person)).slice(0, Math.ceil(size / 2));
  const some = [...again, ...known.filter((person) => !recent.has(person))].slice(0, size);
  const fresh = people.filter(({ state }) => state === "absent").slice(0, hires);
  recent.clear();
  for (const person of [...some, ...fresh]) recent.add(person);
  return [
    ...fresh.map((person) => hire(person, draw() < 0.3 ? company.groups.get(pick(hand_groups, draw)) : undefined)),
    ...some.map((person) => changeOf(company, person, draw)),
    ...(draw() < 0.1 ? [renameGroup(company.groups.get(pick(hand_groups, draw)) as Group)] : []),
  ];
}
