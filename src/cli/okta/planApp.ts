/** The plan for one app (see plan.ts): what it is, who has it, what is pushed to it. */
import type { Value } from "../../core/types.ts";
import type { LineJudge } from "./judging.ts";
import {
  type App,
  type AppGroup,
  type AppUser,
  canonical,
  canonicalTree,
  covers,
  fold,
  type Lines,
  type Push,
  type Tree,
} from "./organisation.ts";
import type { Steps } from "./plan.ts";
import { onlyHere, planAttributes, type Tally } from "./tally.ts";

/** What of an app is to be written. `created`: it is not here yet; what it then has besides is taken away again. */
export type AppChange = Readonly<{
  app: App;
  created: boolean;
  /** It was being made when that was cut off: it is made whole as if it were new. */
  unfinished: boolean;
  body: boolean;
  status: boolean;
  address: boolean;
  provisioning: boolean;
  sourcing: boolean;
  attributes: Readonly<Record<string, Tree>>;
  to_app: Lines;
  to_user: Lines;
}>;

/** What the plan for an app looks at besides the app: groups that can be named here, who is in them, who has not left. */
export type Around = Readonly<{
  groups: ReadonlySet<string>;
  members: ReadonlyMap<string, ReadonlySet<string>>;
  living: ReadonlySet<string>;
  /** Why a line's expression cannot be used here; undefined: it can, as far as is known before it is sent. */
  judge: LineJudge;
  /** Nothing is called in the app yet. */
  unplugged: boolean;
  /** It was being made when that was cut off. */
  unfinished: boolean;
}>;

type AppPlan = Readonly<{
  change?: AppChange;
  groups?: Steps["app_groups"][number];
  people?: Steps["app_users"][number];
  pushes: Steps["pushes"];
}>;

/** What it takes to have this app as it is there. */
export function planApp(given: App, ours: App | undefined, around: Around, tally: Tally): AppPlan {
  const { label } = given;
  const fault = ours && unlike(given, ours);
  if (fault) {
    tally.note({ kind: "app", name: label, outcome: "unsupported", why: fault });
    return { pushes: [] };
  }
  const theirs = {
    ...given,
    to_app: usable(given, "to_app", around, tally),
    to_user: usable(given, "to_user", around, tally),
  };
  const change = { ...changeOf(theirs, ours, tally), unfinished: around.unfinished };
  const rest = ["body", "status", "address", "provisioning", "sourcing"] as const;
  const own = around.unfinished || rest.some((name) => change[name]);
  tally.count("app", change.created ? "create" : own ? "change" : "same");
  if (theirs.kind !== "none" && around.unplugged) tally.note(plugNote(theirs));
  const parts = [change.attributes, change.to_app, change.to_user].some((part) => Object.keys(part).length > 0);
  const groups = planAppGroups(theirs, ours, around, tally);
  const people = planAppUsers(theirs, ours, around, tally);
  return {
    ...(change.created || own || parts ? { change } : {}),
    ...(groups.length > 0 ? { groups: { label, groups } } : {}),
    ...(people.length > 0 ? { people: { label, people } } : {}),
    pushes: planPushes(theirs, ours, around, tally),
  };
}

/** The lines of a mapping that can be carried over; the others are told. */
function usable(app: App, direction: "to_app" | "to_user", { judge }: Around, tally: Tally): Lines {
  const lines = Object.entries(app[direction]).filter(([name, { expression }]) => {
    const why = judge(app, direction, expression);
    if (why !== undefined) {
      tally.note({ kind: "mapping line", name: `${app.label}: ${name}`, outcome: "unsupported", why });
    }
    return why === undefined;
  });
  return Object.fromEntries(lines);
}

/** Why the two cannot be the same app. */
function unlike(theirs: App, ours: App): string | undefined {
  // A name that stands for a connector here, where nothing is provisioned there: it waits, and is connected or not.
  const waits = theirs.kind === "none" && ours.kind === "scim" && theirs.name !== null && theirs.name === ours.name;
  if (theirs.kind !== ours.kind && !waits) {
    const connected = (kind: string) => (kind === "none" ? "without a connector" : `with the connector ${kind}`);
    return `the app of this label here is one ${connected(ours.kind)}, and not ${connected(theirs.kind)}: rename or delete it here`;
  }
  if (theirs.mode === ours.mode || theirs.mode === null) return undefined;
  return `the app of this label here signs on by ${ours.mode ?? "nothing"}, not by ${theirs.mode}: rename or delete it here`;
}

function plugNote({ label, kind, address }: App) {
  const quoted = `'${label.replaceAll("'", "'\\''")}'`;
  const known = address === null ? " --base-url URL" : "";
  const scim = kind === "scim";
  return {
    ...({ kind: "app", name: label, outcome: "credential" } as const),
    why: scim
      ? "its token cannot be read there; until it is given nothing is called in the app"
      : "it is paused, and nothing is done in it until it is resumed",
    command: scim ? `tenure apps connect ${quoted}${known} --token-file FILE` : `tenure apps resume ${quoted}`,
  };
}

/** Compares an app; called again for one that was just made, whose defaults are then known. */
export function changeOf(theirs: App, ours: App | undefined, tally: Tally): AppChange {
  const created = ours === undefined;
  const says = (name: "provisioning" | "sourcing") => theirs[name] !== null && !covers(ours?.[name], theirs[name]);
  return {
    app: theirs,
    created,
    unfinished: false,
    body: created || ours.label !== theirs.label || !covers(ours.body, theirs.body),
    status: (ours?.status ?? "INACTIVE") !== theirs.status,
    address: theirs.address !== null && ours?.address !== theirs.address,
    provisioning: says("provisioning"),
    sourcing: says("sourcing"),
    attributes: planAttributes("app attribute", theirs.label, theirs.attributes, ours?.attributes ?? {}, tally),
    to_app: planLines(theirs.to_app, ours?.to_app ?? {}, tally),
    to_user: planLines(theirs.to_user, ours?.to_user ?? {}, tally),
  };
}

function planLines(theirs: Lines, ours: Lines, tally: Tally): Lines {
  const missing = Object.entries(theirs).filter(([name, line]) => {
    const here = ours[name];
    const same = here !== undefined && covers(here as unknown as Value, line as unknown as Value);
    tally.count("mapping line", here === undefined ? "create" : same ? "same" : "change");
    return !same;
  });
  onlyHere("mapping line", Object.keys(theirs), Object.keys(ours), (name) => name, tally);
  return Object.fromEntries(missing);
}

/** Groups are given again from the first to the last when one is missing or their order differs. */
function planAppGroups(theirs: App, ours: App | undefined, around: Around, tally: Tally) {
  const wanted = theirs.groups.filter(({ group }) => {
    if (around.groups.has(group)) return true;
    const why = `the group ${group} has it there, which is not carried over: whoever has it by that group alone gets it by themselves`;
    tally.note({ kind: "app group", name: theirs.label, outcome: "unsupported", why });
    return false;
  });
  const here = ours?.groups ?? [];
  const named = new Set(wanted.map(({ group }) => group));
  const order = here.filter(({ group }) => named.has(group)).map(({ group }) => group);
  const known = new Set(order);
  const profiles = new Map(here.map(({ group, profile }) => [group, profile]));
  const expected = wanted.filter(({ group }) => known.has(group)).map(({ group }) => group);
  const ordered = expected.every((group, n) => group === order[n]);
  let differs = 0;
  for (const { group, profile } of wanted) {
    const same = ordered && known.has(group) && sameTree(profiles.get(group), profile);
    tally.count("app group", !known.has(group) ? "create" : same ? "same" : "change");
    if (!same) differs++;
  }
  onlyHere("app group", theirs.groups, here, ({ group }) => group, tally);
  return differs === 0 ? [] : wanted.map((one: AppGroup, priority) => ({ ...one, priority }));
}

const sameTree = (a: Tree | undefined, b: Tree) => JSON.stringify(canonical(a)) === JSON.stringify(canonical(b));

/**
 * Who is to be given the app, and whose account is to be linked. What a mapping says on every push comes from the mapping, and
 * what a group gives from the group; the rest is the person's own.
 */
function planAppUsers(theirs: App, ours: App | undefined, around: Around, tally: Tally): readonly AppUser[] {
  const here = new Map((ours?.people ?? []).map((one) => [fold(one.login), one]));
  const steps: AppUser[] = [];
  for (const one of theirs.people) {
    const key = fold(one.login);
    // Whoever has left has no apps; what is left of their account there is not ours.
    if (!around.living.has(key)) continue;
    const known = here.get(key);
    // Who has it by a group that is not carried over would have an account that nobody looks after, also when they leave.
    const scope = one.scope === "GROUP" && !groupsOf(theirs, one, around).length ? "USER" : one.scope;
    const profile = scope === "USER" ? ownValues(theirs, one, around) : {};
    const begins = scope === "USER" && known?.scope !== "USER";
    const links = one.external_id !== null && (known?.external_id ?? null) === null;
    const values = known?.scope === "USER" && !covers(known.profile, profile);
    if (known?.external_id && one.external_id && known.external_id !== one.external_id) {
      const why = `${one.login} has the account ${one.external_id} there and ${known.external_id} here: it stays`;
      tally.note({ kind: "app user", name: theirs.label, outcome: "unsupported", why });
    } else if (begins || links || values) {
      tally.count("app user", known === undefined ? "create" : "change");
      steps.push({ ...one, scope, profile });
    } else tally.count("app user", known === undefined ? "follows" : "same");
  }
  onlyHere("app user", theirs.people, ours?.people ?? [], ({ login }) => fold(login), tally);
  return steps;
}

/** The groups by which somebody will have an app here, the first first. */
function groupsOf(app: App, { login }: AppUser, { groups, members }: Around): readonly AppGroup[] {
  return app.groups.filter(({ group }) => {
    return groups.has(group) && (group === "BUILT_IN:Everyone" || members.get(group)?.has(fold(login)));
  });
}

function ownValues(app: App, one: AppUser, around: Around): Tree {
  const mine = groupsOf(app, one, around);
  const own = Object.entries(one.profile).filter(([name, value]) => {
    if (app.to_app[name]?.push || !Object.hasOwn(app.attributes, name)) return false;
    const given = mine.find((group) => Object.hasOwn(group.profile, name))?.profile[name];
    return JSON.stringify(given) !== JSON.stringify(value);
  });
  return canonicalTree(Object.fromEntries(own));
}

function planPushes(theirs: App, ours: App | undefined, around: Around, tally: Tally): Steps["pushes"] {
  const here = new Map((ours?.pushes ?? []).map((push) => [push.group, push]));
  const steps: { label: string; push: Push; known: boolean }[] = [];
  for (const push of theirs.pushes) {
    const known = here.get(push.group);
    if (!around.groups.has(push.group)) {
      const why = `the group ${push.group} is not carried over`;
      tally.note({ kind: "group push", name: theirs.label, outcome: "unsupported", why });
    } else if (known?.status === push.status) tally.count("group push", "same");
    else {
      tally.count("group push", known === undefined ? "create" : "change");
      steps.push({ label: theirs.label, push, known: known !== undefined });
    }
  }
  onlyHere("group push", theirs.pushes, ours?.pushes ?? [], ({ group }) => group, tally);
  return steps;
}
