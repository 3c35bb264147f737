/**
 * The plan: the difference between want and have as the one write that closes it. Every decision is made here;
 * execution has none left. The same function serves the live engine, a preview and a repair.
 *
 * Laws (tested): `plan(w, apply(plan(w, h), h))` does nothing; a plan never writes what the app says cannot be written;
 * an account is never made only to be disabled, but for someone whose first day is near (`early`); a difference of
 * spelling (normalisation) is no difference (drift).
 */
import { type Change, sameValue } from "./diff.ts";
import { setOwn } from "./profile.ts";
import { attributesByName } from "./schema.ts";
import type { Attribute, Capabilities, Have, Profile, Value, Want } from "./types.ts";

/** At most one write. `enabled` is there only when it changes. `unsupported` says what the app cannot do. */
export type Step =
  | Readonly<{ kind: "none" }>
  | Readonly<{ kind: "create"; profile: Profile; enabled: boolean }>
  | Readonly<{ kind: "update"; set: Profile; enabled?: boolean; changes: readonly Change[] }>
  | Readonly<{ kind: "delete" }>
  | Readonly<{ kind: "unsupported"; missing: string }>;

/**
 * What the app is and which switches are on. `update: false`: existing accounts' attributes are left alone. `state: false`:
 * whether an account works is the app's own affair, as it is a source's that values are only written back to.
 */
export type PlanApp = Readonly<{
  can: Capabilities;
  attributes: readonly Attribute[];
  update: boolean;
  state: boolean;
}>;

const none: Step = { kind: "none" };

/** The step that takes `have` to `want` in an app. */
export function plan(want: Want | null, have: Have | null, app: PlanApp): Step {
  if (want === null) return app.state ? planAbsence(have, app.can) : none;
  if (have === null) return planCreate(want, app);
  const enabled = want.enabled === have.enabled || !app.state ? undefined : want.enabled;
  if (enabled === false && !app.can.disable) {
    return app.can.delete ? { kind: "delete" } : { kind: "unsupported", missing: "disabling an account" };
  }
  // The profile of an ended assignment is frozen: what someone changes in a disabled account is not ours to undo.
  const changes = want.create || want.enabled ? changed(want.profile, have.profile, app) : [];
  if (changes.length === 0 && enabled === undefined) return none;
  if (changes.length > 0 && !app.can.update) {
    return enabled === undefined ? none : { kind: "update", set: {}, enabled, changes: [] };
  }
  const set = Object.fromEntries(changes.map((change) => [change.attribute, change.after]));
  return { kind: "update", set, ...(enabled === undefined ? {} : { enabled }), changes };
}

function planAbsence(have: Have | null, can: Capabilities): Step {
  if (have === null) return none;
  if (can.delete) return { kind: "delete" };
  if (!can.disable) return { kind: "unsupported", missing: "deleting or disabling an account" };
  return have.enabled ? { kind: "update", set: {}, enabled: false, changes: [] } : none;
}

function planCreate(want: Want, app: PlanApp): Step {
  if (!want.create || !(want.enabled || (want.early === true && app.can.disable))) return none;
  if (!app.can.create) return { kind: "unsupported", missing: "creating an account" };
  const known = attributesByName(app.attributes);
  const profile: Record<string, Value> = {};
  for (const name of Object.keys(want.profile)) {
    const value = want.profile[name] ?? null;
    if (value !== null && (known.get(name)?.writable ?? "never") !== "never") setOwn(profile, name, value);
  }
  return { kind: "create", profile, enabled: want.enabled };
}

/** Attributes whose wanted value is not what the app holds, by the app's own idea of sameness. */
function changed(want: Profile, have: Profile, app: PlanApp): Change[] {
  if (!app.update) return [];
  const changes: Change[] = [];
  for (const attribute of app.attributes) {
    const { name } = attribute;
    if (!Object.hasOwn(want, name) || attribute.writable !== "always" || !attribute.readable) continue;
    const after = want[name] ?? null;
    const before = Object.hasOwn(have, name) ? (have[name] ?? null) : null;
    if (!sameValue(before, after, attribute)) changes.push({ attribute: name, before, after });
  }
  return changes;
}

/** What the app holds after a step that went well and that it did not describe in its answer. */
export function apply(step: Step, have: Have | null): Have | null {
  switch (step.kind) {
    case "none":
    case "unsupported":
      return have;
    case "create":
      return { enabled: step.enabled, profile: step.profile };
    case "delete":
      return null;
    case "update":
      return {
        enabled: step.enabled ?? have?.enabled ?? true,
        profile: { ...have?.profile, ...step.set },
      };
    default:
      return step satisfies never;
  }
}

/** A plan's action as one character, so that a plan prints itself: + ~ - on/off and ! for what cannot be done. */
export function rune(step: Step): string {
  switch (step.kind) {
    case "none":
      return "=";
    case "create":
      return "+";
    case "delete":
      return "-";
    case "unsupported":
      return "!";
    case "update":
      return step.enabled === undefined ? "~" : step.enabled ? "↑" : "↓";
    default:
      return step satisfies never;
  }
}
