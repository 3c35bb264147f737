/**
 * An organisation as a document: everything that a directory decides by, named as people name it (logins, names, labels)
 * and never by id, in one order. It is what the reader makes of Okta's API, ours or theirs; what a plan compares; and
 * what `--export` writes.
 *
 * Law: two organisations that behave the same have the same document, and its text is the same to the byte.
 */
import type { Value } from "../../core/types.ts";

export type Tree = Readonly<Record<string, Value>>;

/** A type of people with the attributes that were added for it. */
export type UserType = Readonly<{
  name: string;
  title: string;
  description: string | null;
  standard: boolean;
  attributes: Readonly<Record<string, Tree>>;
  /** Base attributes that are otherwise than in a new organisation: a name that may be empty, a login that is no address. */
  base?: Readonly<Record<string, Tree>>;
}>;

type LinkEnd = Readonly<{ name: string; title: string; description: string }>;
export type LinkKind = Readonly<{ primary: LinkEnd; associated: LinkEnd }>;

/** `app`: the label of the app that an APP_GROUP comes from. */
export type Group = Readonly<{ type: string; name: string; app: string | null; profile: Tree }>;

export type Person = Readonly<{
  login: string;
  status: string;
  type: string;
  profile: Tree;
  /** Where they sign in, if not with a password of the organisation itself. */
  provider?: Readonly<{ type: string; name: string }>;
}>;

/** A group by its key, and the logins of everyone in it. */
export type Members = Readonly<{ group: string; people: readonly string[] }>;

/** Expressions name groups by key where Okta's name them by id. */
export type Rule = Readonly<{
  name: string;
  status: string;
  expression: string;
  groups: readonly string[];
  except: readonly string[];
}>;

export type Line = Readonly<{ expression: string; push: boolean; when_empty?: string; fallback?: Value }>;
export type Lines = Readonly<Record<string, Line>>;

/** Which groups give an app, the first first. */
export type AppGroup = Readonly<{ group: string; profile: Tree }>;
export type AppUser = Readonly<{
  login: string;
  /** Theirs alone, or through groups. */
  scope: string;
  external_id: string | null;
  profile: Tree;
}>;
/** `target_id`: the group's id in the app, `target_name`: its name there; as far as they are known. */
export type Push = Readonly<{ group: string; status: string; target_id?: string; target_name?: string }>;

/** `kind`: none for an app that is for sign-on only. `name` null: made from the label. */
export type App = Readonly<{
  label: string;
  name: string | null;
  kind: string;
  status: string;
  mode: string | null;
  /** What the API takes as accessibility, visibility, credentials, settings and profile; secrets are not in it. */
  body: Tree;
  /** Where it is, if it is said. */
  address: string | null;
  /** What is kept in step there; null: nothing can be. */
  provisioning: Tree | null;
  /** How people are taken from it; null: it is no source. */
  sourcing: Tree | null;
  attributes: Readonly<Record<string, Tree>>;
  to_app: Lines;
  to_user: Lines;
  groups: readonly AppGroup[];
  people: readonly AppUser[];
  pushes: readonly Push[];
}>;

/** Who is linked to whom. */
export type Link = Readonly<{ name: string; associated: string; primary: string }>;

/** What there is and cannot be carried over, or only by a person. */
export type Lack = Readonly<{ kind: Kind; name: string; why: string }>;

export type Organisation = Readonly<{
  version: 1;
  user_types: readonly UserType[];
  link_kinds: readonly LinkKind[];
  group_attributes: Readonly<Record<string, Tree>>;
  groups: readonly Group[];
  people: readonly Person[];
  members: readonly Members[];
  links: readonly Link[];
  rules: readonly Rule[];
  apps: readonly App[];
  lacks: readonly Lack[];
}>;

/** The kinds of thing that a plan counts, in the order in which they are carried over. */
export const kinds = [
  ...(["user type", "attribute", "link kind", "group", "app", "app attribute", "mapping line"] as const),
  ...(["person", "link", "membership", "rule", "app group", "app user", "group push"] as const),
] as const;
export type Kind = (typeof kinds)[number];

/** A group as documents name it. Everyone is BUILT_IN; the same name may come from several apps. */
export function groupKey({ type, name, app }: Pick<Group, "type" | "name" | "app">): string {
  return app === null ? `${type}:${name}` : `${type}:${name} (${app})`;
}

/** A login, label or name, where case does not count. */
export const fold = (text: string) => text.toLowerCase();

/** By code unit, so that every machine orders alike. */
export const inOrder = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Without what is null, empty or absent, at every depth; keys in order. Lists keep their order. */
export function canonical(value: Value | undefined): Value | undefined {
  if (value === null || value === undefined || value === "") return undefined;
  if (Array.isArray(value)) return value.map((one: Value) => canonical(one) ?? null);
  if (!isTree(value)) return value;
  const entries = Object.keys(value)
    .sort(inOrder)
    .flatMap((name): [string, Value][] => {
      const one = canonical(value[name]);
      return one === undefined ? [] : [[name, one]];
    });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

export function canonicalTree(value: unknown): Tree {
  const made = canonical(value as Value);
  return isTree(made) ? made : {};
}

/** Does `ours` say all that `theirs` says? What we say besides is a default of ours. Lists are compared whole. */
export function covers(ours: Value | undefined, theirs: Value | undefined): boolean {
  if (theirs === undefined || theirs === null) return true;
  if (!isTree(theirs)) return JSON.stringify(canonical(ours)) === JSON.stringify(canonical(theirs));
  return Object.entries(theirs).every(([name, value]) => covers(isTree(ours) ? ours[name] : undefined, value));
}

/** The parts of a document's text, to be written one after another: a large organisation's text is longer than a string may be. */
export function* textOf(organisation: Organisation): Generator<string> {
  const names = Object.keys(organisation) as (keyof Organisation)[];
  for (const [n, name] of names.entries()) {
    yield `${n === 0 ? "{" : ","}\n"${name}": `;
    const part = organisation[name];
    if (!Array.isArray(part)) yield JSON.stringify(part, null, 1);
    else {
      for (const [m, one] of part.entries()) yield `${m === 0 ? "[" : ","}\n  ${JSON.stringify(one)}`;
      yield part.length === 0 ? "[]" : "\n]";
    }
  }
  yield "\n}\n";
}
