/**
 * What a name with a dot after it means: `user.x`, `appuser.x`, another app's account, a manager's attribute. Each origin
 * has a schema to look the attribute up in, and contexts in which it may stand. Called by `check.ts`.
 */
import { attributeType, type Checker, complain, constantOf, contextName, didYouMean } from "./checker.ts";
import type { Shape } from "./environment.ts";
import { printAttribute } from "./print.ts";
import { nearest } from "./suggest.ts";
import type { Origin, Relation, Term } from "./term.ts";
import type { CallNode, Node, Position } from "./tree.ts";

/** A profile that attributes can be read from: where it is, its schema, and how it is written. */
export type Profile = Readonly<{ origin: Origin; shape: Shape; written: string }>;

type Root = "user" | "appuser" | "source" | "app" | "org" | "group";
const roots: readonly Root[] = ["user", "appuser", "source", "app", "org", "group"];
const of_apps: ReadonlySet<string> = new Set(["appuser", "app", "source"]);

/** Names that Okta knows in places Tenure has no such object for. */
const foreign: Readonly<Record<string, string>> = {
  session: "A session exists only while somebody signs in; use user, appuser or org.",
  idpuser: "Profiles of identity providers are accounts: use the app's name, or appuser.",
  idpUser: "Profiles of identity providers are accounts: use the app's name, or appuser.",
};

const directories = {
  findDirectoryUser: { directory: "active_directory", app: "active_directory" },
  findWorkdayUser: { directory: "workday", app: "workday" },
} as const;

const people: ReadonlyMap<string, "manager" | "assistant"> = new Map([
  ["getManagerUser", "manager"],
  ["getManagerAppUser", "manager"],
  ["getAssistantUser", "assistant"],
  ["getAssistantAppUser", "assistant"],
]);

/** Names of functions that lead to a profile, for suggestions. */
export const profile_functions: readonly string[] = [...people.keys(), ...Object.keys(directories)];

/**
 * The profile a node leads to, `undefined` when it leads to none (it is a value), or the term to go on with when it
 * means to but fails.
 */
export function profileOf(checker: Checker, node: Node): Profile | Term | undefined {
  if (node.kind === "name") return namedProfile(checker, node.name, node.at);
  if (node.kind === "member" && node.name === "profile") {
    // `user.profile.x` is `user.x`: the other dialect's spelling.
    return node.target.kind === "name" || node.target.kind === "call" ? profileOf(checker, node.target) : undefined;
  }
  return node.kind === "call" ? calledProfile(checker, node) : undefined;
}

export function isTerm(found: Profile | Term): found is Term {
  return "kind" in found;
}

/** An attribute of a profile. */
export function readAttribute(checker: Checker, profile: Profile, name: string, at: Position): Term {
  const type = attributeType(profile.shape, name);
  if (type !== undefined) return { kind: "read", origin: profile.origin, name, type, at };
  if (profile.origin.from === "group" && (name === "id" || name === "type")) {
    return { kind: "internal", of: "group", name, type: "string", at };
  }
  const written = printAttribute(profile.written, name);
  return complain(checker, at, `There is no attribute ${written}.`, attributeHint(profile, name));
}

function attributeHint(profile: Profile, name: string): string {
  if (profile.origin.from === "user" && (name === "id" || name === "status")) {
    return `Write user.getInternalProperty("${name}").`;
  }
  const names = profile.shape.map((attribute) => attribute.name);
  const near = nearest(name, names);
  if (near !== null) return `Did you mean ${printAttribute(profile.written, near)}? Upper and lower case differ.`;
  return names.length === 0 ? "It has no attributes here." : `It has ${listed(names)}.`;
}

function listed(names: readonly string[]): string {
  return names.length <= 8 ? names.join(", ") : `${names.slice(0, 8).join(", ")} and ${names.length - 8} more`;
}

function namedProfile(checker: Checker, name: string, at: Position): Profile | Term {
  const { environment } = checker;
  const root = roots.find((candidate) => candidate === name);
  if (root !== undefined) {
    const refused = refuseRoot(checker, root, at);
    if (refused) return refused;
    return { origin: { from: root }, shape: environment[root] ?? [], written: root };
  }
  const { accounts = {}, apps = {} } = environment;
  if (Object.hasOwn(accounts, name)) {
    const refused = refuseAccounts(checker, name, at);
    return refused ?? { origin: { from: "account", app: name }, shape: accounts[name]!, written: name };
  }
  const app = name.replace(/_app$/, "");
  if (app !== name && Object.hasOwn(apps, app)) {
    const refused = refuseAccounts(checker, name, at);
    return refused ?? { origin: { from: "app_named", app }, shape: apps[app]!, written: name };
  }
  return unknownName(checker, name, at);
}

function unknownName(checker: Checker, name: string, at: Position): Term {
  const { environment } = checker;
  if (Object.hasOwn(foreign, name)) return complain(checker, at, `There is no ${name} here.`, foreign[name]);
  const subject = environment.context === "push_rule" ? "group" : "user";
  if (attributeType(environment[subject] ?? [], name) !== undefined) {
    return complain(checker, at, `${name} must say whose it is.`, `Write ${subject}.${name}.`);
  }
  const known = [
    ...roots.filter((root) => environment[root] !== undefined),
    ...Object.keys(environment.accounts ?? {}),
  ];
  const hint =
    didYouMean(name, known, (near) => near) ?? `Put texts in quotes: "${name}". Known names: ${listed(known)}.`;
  return complain(checker, at, `Unknown name ${name}.`, hint);
}

function refuseRoot(checker: Checker, root: Root, at: Position): Term | null {
  const { context } = checker.environment;
  if (of_apps.has(root)) return refuseAccounts(checker, root, at);
  if (context === "push_rule" && root === "user") {
    return complain(checker, at, "A push rule is about a group, not a user.", "Write group.name or group.description.");
  }
  if (context !== "push_rule" && root === "group") {
    const hint = 'Use isMemberOfGroupName("…") to ask about the user\'s groups.';
    return complain(checker, at, `group stands only in a push rule, not in ${contextName(checker)}.`, hint);
  }
  return null;
}

/** Accounts and apps are read in mappings only: a rule must not wait for an app. */
export function refuseAccounts(checker: Checker, written: string, at: Position): Term | null {
  if (checker.environment.context === "mapping") return null;
  const hint = "Map the value to a user attribute first, and use that attribute here.";
  return complain(checker, at, `${written} belongs to an app, and ${contextName(checker)} cannot read apps.`, hint);
}

function calledProfile(checker: Checker, node: CallNode): Profile | Term | undefined {
  const { name, target } = node;
  if (target === null && Object.hasOwn(directories, name)) {
    return directoryProfile(checker, node, directories[name as keyof typeof directories]);
  }
  const relation = target === null ? people.get(name) : undefined;
  if (relation !== undefined) return relatedProfile(checker, node, relation);
  if (name === "getLinkedObject" && target?.kind === "name" && target.name === "user")
    return linkedProfile(checker, node);
  return undefined;
}

function directoryProfile(
  checker: Checker,
  node: CallNode,
  { directory, app }: (typeof directories)[keyof typeof directories],
): Profile | Term {
  const refused = refuseAccounts(checker, `${node.name}()`, node.at) ?? expectTexts(checker, node, []);
  if (refused) return refused;
  const accounts = checker.environment.accounts ?? {};
  const shape = Object.hasOwn(accounts, app) ? accounts[app]! : [];
  return { origin: { from: "directory", directory }, shape, written: `${node.name}()` };
}

function relatedProfile(checker: Checker, node: CallNode, relation: "manager" | "assistant"): Profile | Term {
  const of_app = node.name.endsWith("AppUser");
  const refused = of_app ? refuseAccounts(checker, `${node.name}()`, node.at) : refuseGroups(checker, node);
  const wrong = refused ?? expectTexts(checker, node, of_app ? ["the source", "the app"] : ["the source"]);
  if (wrong) return wrong;
  const [source, app] = texts(checker, node);
  const person: Relation = { relation, source: source! };
  const written = `${node.name}(…)`;
  if (!of_app) return { origin: { from: "person", person }, shape: checker.environment.user ?? [], written };
  const accounts = checker.environment.accounts ?? {};
  if (!Object.hasOwn(accounts, app!)) {
    const hint = didYouMean(app!, Object.keys(accounts), (near) => `"${near}"`);
    return complain(checker, node.at, `There is no app named "${app}".`, hint);
  }
  return { origin: { from: "person_account", person, app: app! }, shape: accounts[app!]!, written };
}

function linkedProfile(checker: Checker, node: CallNode): Profile | Term {
  const wrong = refuseGroups(checker, node) ?? expectTexts(checker, node, ["the link"]);
  if (wrong) return wrong;
  const [name] = texts(checker, node);
  const links = checker.environment.links ?? [];
  if (!links.includes(name!)) {
    const hint = didYouMean(name!, links, (near) => `"${near}"`) ?? "Define the link in the schema first.";
    return complain(checker, node.at, `There is no linked object named "${name}".`, hint);
  }
  const person: Relation = { relation: "link", name: name! };
  return {
    origin: { from: "person", person },
    shape: checker.environment.user ?? [],
    written: "user.getLinkedObject(…)",
  };
}

function refuseGroups(checker: Checker, node: CallNode): Term | null {
  if (checker.environment.context !== "push_rule") return null;
  return complain(checker, node.at, `${node.name} asks about a user, and a push rule is about a group.`);
}

function texts(checker: Checker, node: CallNode): string[] {
  return node.args.map((arg) => String(constantOf(checker.check(arg))));
}

/** The arguments must be written texts: what is read must be known before anything runs. */
function expectTexts(checker: Checker, node: CallNode, wanted: readonly string[]): Term | null {
  const good =
    node.args.length === wanted.length &&
    node.args.every((arg) => arg.kind === "literal" && typeof arg.value === "string");
  if (good) return null;
  const name = node.target === null ? node.name : `user.${node.name}`;
  const form = `${name}(${wanted.map(() => '"…"').join(", ")})`;
  const what = wanted.length === 0 ? "no arguments" : `${wanted.join(" and ")} in quotes`;
  return complain(checker, node.at, `${name} takes ${what}.`, `Write ${form}.`);
}
