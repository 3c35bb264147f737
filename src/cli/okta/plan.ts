/**
 * The plan: what it takes to make our organisation hold everything that another one does. Pure: two documents in, a list
 * of things to do out, and for everything that is not to be done the reason.
 *
 * Laws: nothing is ever taken away here, whatever the other one lacks; what was carried over is not planned again; of
 * people's statuses only those changes count that a directory makes (someone left, came back, was suspended), because
 * from the first day people sign in here and not there.
 */

import { givenByRules } from "./given.ts";
import { judgeOfLines } from "./judging.ts";
import {
  type AppGroup,
  type AppUser,
  covers,
  fold,
  type Group,
  groupKey,
  type Link,
  type LinkKind,
  type Members,
  type Organisation,
  type Person,
  type Push,
  type Rule,
  type Tree,
  type UserType,
} from "./organisation.ts";
import { type AppChange, type Around, planApp } from "./planApp.ts";
import { byName, type Counts, type Note, newTally, onlyHere, planAttributes, type Tally } from "./tally.ts";

/** A person's changes; `event` is what their status takes. */
export type PersonChange = Readonly<{
  person: Person;
  profile: boolean;
  event?: "activate" | "deactivate" | "suspend" | "unsuspend";
}>;

/** Everything to do, in the order in which it is done. */
export type Steps = Readonly<{
  types: readonly Readonly<{ type: UserType; known: boolean }>[];
  /** `of`: a type's name; null: groups. */
  attributes: readonly Readonly<{
    of: string | null;
    properties: Readonly<Record<string, Tree>>;
    base: Readonly<Record<string, Tree>>;
  }>[];
  link_kinds: readonly LinkKind[];
  groups: readonly Readonly<{ group: Group; known: boolean }>[];
  apps: readonly AppChange[];
  people: readonly Person[];
  changed: readonly PersonChange[];
  links: readonly Link[];
  members: readonly Members[];
  /** `write`: the rule itself differs; else only whether it acts. */
  rules: readonly Readonly<{ rule: Rule; known: boolean; write: boolean }>[];
  app_groups: readonly Readonly<{ label: string; groups: readonly (AppGroup & { priority: number })[] }>[];
  app_users: readonly Readonly<{ label: string; people: readonly AppUser[] }>[];
  pushes: readonly Readonly<{ label: string; push: Push; known: boolean }>[];
}>;

export type Plan = Readonly<{ counts: Counts; notes: readonly Note[]; steps: Steps }>;

/** Labels of our apps. `waiting`: nothing is called in them yet. `unfinished`: they were being made when it was cut off. */
export type PlanOptions = Readonly<{ now: Date; waiting: ReadonlySet<string>; unfinished: ReadonlySet<string> }>;

/** What it takes to get from `ours` to hold `theirs`. */
export function planImport(theirs: Organisation, ours: Organisation, options: PlanOptions): Plan {
  const { tally, counts, notes } = newTally();
  for (const { kind, name, why } of theirs.lacks) tally.note({ kind, name, outcome: "unsupported", why });
  const here = groupsHere(theirs, ours);
  const { given, problems } = givenByRules(theirs, { now: options.now, here });
  const apps = planApps(theirs, ours, { ...options, groups: here }, tally);
  const steps: Steps = {
    ...planShapes(theirs, ours, tally),
    groups: planGroups(theirs, ours, tally),
    apps: apps.flatMap(({ change }) => change ?? []),
    ...planPeople(theirs, ours, tally),
    links: planLinks(theirs, ours, tally),
    members: planMembers(theirs, ours, given, tally),
    rules: planRules(theirs, ours, problems, tally),
    app_groups: apps.flatMap(({ groups }) => groups ?? []),
    app_users: apps.flatMap(({ people }) => people ?? []),
    pushes: apps.flatMap(({ pushes }) => pushes),
  };
  return { counts, notes, steps };
}

/** The groups that there are here or will be: what apps and rules can name. */
function groupsHere(theirs: Organisation, ours: Organisation): ReadonlySet<string> {
  const carried = theirs.groups.filter(({ type }) => type === "OKTA_GROUP");
  return new Set(["BUILT_IN:Everyone", ...[...carried, ...ours.groups].map(groupKey)]);
}

/** Is there anything to do? */
export function isEmpty({ steps }: Plan): boolean {
  return Object.values(steps).every((step) => step.length === 0);
}

/** Types, attributes, kinds of link. */
function planShapes(theirs: Organisation, ours: Organisation, tally: Tally) {
  const types = byName(ours.user_types, ({ name }) => name);
  const steps: { type: UserType; known: boolean }[] = [];
  const attributes: Steps["attributes"][number][] = [];
  for (const type of theirs.user_types) {
    const here = types.get(type.name);
    const same = here && (type.standard || (here.title === type.title && here.description === type.description));
    tally.count("user type", here === undefined ? "create" : same ? "same" : "change");
    if (!same) steps.push({ type, known: here !== undefined });
    const wanted = meetable(type, theirs.people, tally);
    const properties = planAttributes("attribute", type.name, wanted, here?.attributes ?? {}, tally);
    const base = planAttributes("attribute", type.name, type.base ?? {}, here?.base ?? {}, tally);
    const some = [properties, base].some((one) => Object.keys(one).length > 0);
    if (some) attributes.push({ of: type.name, properties, base });
  }
  const group = planAttributes("attribute", "group", theirs.group_attributes, ours.group_attributes, tally);
  if (Object.keys(group).length > 0) attributes.push({ of: null, properties: group, base: {} });
  onlyHere("user type", theirs.user_types, ours.user_types, ({ name }) => name, tally);
  const links = byName(ours.link_kinds, ({ primary }) => primary.name);
  const link_kinds = theirs.link_kinds.filter(({ primary }) => !links.has(primary.name));
  tally.count("link kind", "create", link_kinds.length);
  tally.count("link kind", "same", theirs.link_kinds.length - link_kinds.length);
  return { types: steps, attributes, link_kinds };
}

/** Okta asks nobody for a value who was there before it became required; here that would keep them out. */
function meetable(type: UserType, people: readonly Person[], tally: Tally): UserType["attributes"] {
  const attributes = Object.entries(type.attributes).map(([name, attribute]): [string, Tree] => {
    if (attribute["required"] !== true) return [name, attribute];
    const without = people.filter((one) => one.type === type.name && one.profile[name] === undefined).length;
    if (without === 0) return [name, attribute];
    const why = `is required there, but ${without} people have no value: it may be empty here until all have one`;
    tally.note({ kind: "attribute", name: `${type.name}: ${name}`, outcome: "unsupported", why });
    const { required: _required, ...rest } = attribute;
    return [name, rest];
  });
  return Object.fromEntries(attributes);
}

function planGroups(theirs: Organisation, ours: Organisation, tally: Tally): Steps["groups"] {
  const here = byName(ours.groups, groupKey);
  const steps: { group: Group; known: boolean }[] = [];
  for (const group of theirs.groups) {
    const known = here.get(groupKey(group));
    if (group.type === "OKTA_GROUP") {
      const same = known !== undefined && covers(known.profile, group.profile);
      tally.count("group", known === undefined ? "create" : same ? "same" : "change");
      if (!same) steps.push({ group, known: known !== undefined });
    } else if (known !== undefined) tally.count("group", "same");
    else {
      const why = `it is filled by ${group.app ?? "an app"}: it comes with an import from there, not by hand`;
      tally.note({ kind: "group", name: groupKey(group), outcome: "unsupported", why });
    }
  }
  onlyHere("group", theirs.groups, ours.groups, groupKey, tally);
  return steps;
}

/** How somebody stands, as far as a directory decides it; passwords and locks are the person's own affair. */
function standing(status: string): "staged" | "works" | "suspended" | "left" {
  if (status === "STAGED") return "staged";
  if (status === "SUSPENDED") return "suspended";
  return status === "DEPROVISIONED" ? "left" : "works";
}

function planPeople(theirs: Organisation, ours: Organisation, tally: Tally): Pick<Steps, "people" | "changed"> {
  const here = byName(ours.people, ({ login }) => fold(login));
  const types = new Set(["user", ...[...theirs.user_types, ...ours.user_types].map(({ name }) => name)]);
  const people: Person[] = [];
  const changed: PersonChange[] = [];
  for (const person of theirs.people) {
    const known = here.get(fold(person.login));
    if (!types.has(person.type)) {
      const why = `is of the type ${person.type}, which is defined neither there nor here`;
      tally.note({ kind: "person", name: person.login, outcome: "unsupported", why });
      continue;
    }
    if (known === undefined) {
      people.push(person);
      continue;
    }
    const [is, was] = [standing(person.status), standing(known.status)];
    const event = is === was ? undefined : eventOf(is, was);
    // The profile of who has left is closed until they are back.
    const closed = was === "left" && event !== "activate";
    const profile = !closed && !(covers(known.profile, person.profile) && known.type === person.type);
    if (event === null) {
      const why = `stands as ${person.status} there and ${known.status} here, and nothing leads from here to there`;
      tally.note({ kind: "person", name: person.login, outcome: "unsupported", why });
    }
    if (profile || event) changed.push({ person, profile, ...(event ? { event } : {}) });
    else if (event === undefined) tally.count("person", "same");
  }
  tally.count("person", "create", people.length);
  tally.count("person", "change", changed.length);
  onlyHere("person", theirs.people, ours.people, ({ login }) => fold(login), tally);
  return { people, changed };
}

/** null: there is no way. */
function eventOf(is: ReturnType<typeof standing>, was: ReturnType<typeof standing>): PersonChange["event"] | null {
  if (is === "left") return "deactivate";
  if (is === "suspended") return was === "works" ? "suspend" : null;
  if (is === "staged") return null;
  return was === "suspended" ? "unsuspend" : "activate";
}

const linkKey = ({ name, associated, primary }: Link) => `${name} ${fold(associated)} ${fold(primary)}`;

function planLinks(theirs: Organisation, ours: Organisation, tally: Tally): readonly Link[] {
  const here = new Set(ours.links.map(linkKey));
  const links = theirs.links.filter((link) => !here.has(linkKey(link)));
  tally.count("link", "create", links.length);
  tally.count("link", "same", theirs.links.length - links.length);
  return links;
}

function planMembers(
  theirs: Organisation,
  ours: Organisation,
  given: ReadonlyMap<string, ReadonlySet<string>>,
  tally: Tally,
): readonly Members[] {
  const here = new Map(ours.members.map(({ group, people }) => [group, new Set(people.map(fold))]));
  const steps: Members[] = [];
  for (const { group, people } of theirs.members) {
    const known = here.get(group);
    const by_rule = given.get(group);
    const missing = people.filter((login) => !known?.has(fold(login)));
    const by_hand = missing.filter((login) => !by_rule?.has(fold(login)));
    tally.count("membership", "same", people.length - missing.length);
    tally.count("membership", "follows", missing.length - by_hand.length);
    tally.count("membership", "create", by_hand.length);
    tally.count("membership", "only_here", (known?.size ?? 0) - (people.length - missing.length));
    if (by_hand.length > 0) steps.push({ group, people: by_hand });
  }
  return steps;
}

function planRules(
  theirs: Organisation,
  ours: Organisation,
  problems: ReadonlyMap<string, string>,
  tally: Tally,
): Steps["rules"] {
  const here = byName(ours.rules, ({ name }) => name);
  const steps: { rule: Rule; known: boolean; write: boolean }[] = [];
  for (const rule of theirs.rules) {
    const why = problems.get(rule.name);
    if (why !== undefined) {
      tally.note({ kind: "rule", name: rule.name, outcome: "unsupported", why });
      continue;
    }
    const known = here.get(rule.name);
    const text = ({ expression, groups, except }: Rule) => JSON.stringify([expression, groups, except.map(fold)]);
    const write = known === undefined || text(known) !== text(rule);
    const turn = (known?.status ?? "INACTIVE") !== rule.status;
    tally.count("rule", known === undefined ? "create" : write || turn ? "change" : "same");
    if (write || turn) steps.push({ rule, known: known !== undefined, write });
  }
  onlyHere("rule", theirs.rules, ours.rules, ({ name }) => name, tally);
  return steps;
}

function planApps(
  theirs: Organisation,
  ours: Organisation,
  { waiting, unfinished, groups }: PlanOptions & Pick<Around, "groups">,
  tally: Tally,
) {
  const here = byName(ours.apps, ({ label }) => fold(label));
  const members = new Map(theirs.members.map(({ group, people }) => [group, new Set(people.map(fold))]));
  const judge = judgeOfLines(theirs, ours, groups);
  const living = new Set(
    theirs.people.filter(({ status }) => status !== "DEPROVISIONED").map(({ login }) => fold(login)),
  );
  onlyHere("app", theirs.apps, ours.apps, ({ label }) => fold(label), tally);
  return theirs.apps.map((app) => {
    const known = here.get(fold(app.label));
    const key = fold(app.label);
    const unplugged = known === undefined || waiting.has(key);
    return planApp(app, known, { groups, members, living, judge, unplugged, unfinished: unfinished.has(key) }, tally);
  });
}
