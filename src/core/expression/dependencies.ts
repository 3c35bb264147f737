/**
 * What an expression reads. The engine asks this before anything is evaluated: which rules to judge again when an
 * attribute changes, whether a change of membership matters (Okta forgets this), which accounts to load, and whether the
 * passing of time alone can change the answer.
 */
import { type Origin, type Relation, type Term, walk } from "./term.ts";
import { isArray } from "./values.ts";

export type Dependencies = Readonly<{
  /** Attributes of the user's own profile. All lists are sorted and without repetition. */
  user: readonly string[];
  appuser: readonly string[];
  source: readonly string[];
  app: readonly string[];
  org: readonly string[];
  /** Attributes of the group, in a push rule. */
  group: readonly string[];
  /** The user's accounts in other apps: app name → attributes. */
  accounts: Readonly<Record<string, readonly string[]>>;
  /** Properties of other apps: app name → properties. */
  apps: Readonly<Record<string, readonly string[]>>;
  /** Kinds of directory whose accounts are counted or read. */
  directories: Readonly<Record<string, readonly string[]>>;
  /** The groups the user is in: null when not read. `all`: any change of membership may matter. */
  groups: GroupDependencies | null;
  /** People around the user: `manager`, `assistant`, or `link:<name>` → attributes of theirs. */
  people: Readonly<Record<string, readonly string[]>>;
  /** The user's status. */
  status: boolean;
  /** The clock: the answer changes as time passes, so it must be asked again on a schedule. */
  clock: boolean;
}>;

export type GroupDependencies = Readonly<{
  ids: readonly string[];
  names: readonly string[];
  prefixes: readonly string[];
  parts: readonly string[];
  patterns: readonly string[];
  all: boolean;
}>;

type Sets = Map<string, Set<string>>;

/** Everything `term` reads. */
export function dependenciesOf(term: Term): Dependencies {
  const found: Found = {
    roots: new Map(),
    accounts: new Map(),
    apps: new Map(),
    directories: new Map(),
    people: new Map(),
  };
  const groups = { read: false, all: false, sets: new Map<string, Set<string>>() };
  let status = false;
  let clock = false;
  for (const part of walk(term)) {
    if (part.kind === "read") noteRead(found, part.origin, part.name);
    else if (part.kind === "internal") status ||= part.of === "user" && part.name === "status";
    else if (part.kind === "groups") noteCriteria(groups, part);
    else if (part.kind === "call") {
      clock ||= part.declaration.clock === true;
      if (part.declaration.accounts) add(found.directories, part.declaration.accounts);
      noteGroups(groups, part);
    }
  }
  const root = (name: string): readonly string[] => [...(found.roots.get(name) ?? [])].sort();
  return Object.freeze({
    ...{ user: root("user"), appuser: root("appuser"), source: root("source") },
    ...{ app: root("app"), org: root("org"), group: root("group") },
    accounts: record(found.accounts),
    apps: record(found.apps),
    directories: record(found.directories),
    groups: groups.read ? groupsOf(groups) : null,
    people: record(found.people),
    status,
    clock,
  });
}

type Found = Readonly<{ roots: Sets; accounts: Sets; apps: Sets; directories: Sets; people: Sets }>;

function noteRead(found: Found, origin: Origin, name: string): void {
  if (origin.from === "account") add(found.accounts, origin.app, name);
  else if (origin.from === "app_named") add(found.apps, origin.app, name);
  else if (origin.from === "directory") add(found.directories, origin.directory, name);
  else if (origin.from === "person") add(found.people, personKey(origin.person), name);
  else if (origin.from === "person_account") add(found.people, personKey(origin.person), `${origin.app}.${name}`);
  else add(found.roots, origin.from, name);
}

/** How a relation is called among `people`. */
export function personKey(person: Relation): string {
  return person.relation === "link" ? `link:${person.name}` : person.relation;
}

type Groups = { read: boolean; all: boolean; readonly sets: Sets };

function noteGroups(groups: Groups, part: Extract<Term, { kind: "call" }>): void {
  const by = part.declaration.groups;
  if (!by) return;
  groups.read = true;
  if (by === "any") groups.all = true;
  for (const arg of part.args) noteWritten(groups, by, arg);
}

function noteCriteria(groups: Groups, part: Extract<Term, { kind: "groups" }>): void {
  groups.read = true;
  if (part.criteria.length === 0) groups.all = true;
  for (const { key, exact, values } of part.criteria) {
    if (key === "group.id") noteWritten(groups, "id", values);
    else if (key === "group.profile.name") noteWritten(groups, exact ? "name" : "prefix", values);
    else groups.all = true;
  }
}

/** A written text is a precise dependency; a computed one may be any group. */
function noteWritten(groups: Groups, by: string, term: Term): void {
  if (term.kind === "list") for (const item of term.items) noteWritten(groups, by, item);
  else if (term.kind === "constant" && typeof term.value === "string") add(groups.sets, by, term.value);
  else if (term.kind !== "constant" || isArray(term.value)) groups.all = true;
}

function groupsOf({ all, sets }: Groups): GroupDependencies {
  const of = (by: string): readonly string[] => [...(sets.get(by) ?? [])].sort();
  return Object.freeze({
    ...{ ids: of("id"), names: of("name"), prefixes: of("prefix"), parts: of("part"), patterns: of("pattern"), all },
  });
}

function add(sets: Sets, key: string, value?: string): void {
  const set = sets.get(key) ?? new Set();
  if (value !== undefined) set.add(value);
  sets.set(key, set);
}

/** App names come from outside, so the record has no prototype. */
function record(sets: Sets): Readonly<Record<string, readonly string[]>> {
  const result: Record<string, readonly string[]> = Object.create(null);
  for (const [key, values] of [...sets].sort(([left], [right]) => (left < right ? -1 : 1)))
    result[key] = [...values].sort();
  return Object.freeze(result);
}
