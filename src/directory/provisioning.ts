/**
 * The switches of an app: how its accounts are kept, how it is a source, and what they are when nobody says otherwise.
 * Each switch is one of Okta's, or better (okta-lifecycle 3.2, 4.2). Pure: apps.ts writes what is judged here.
 */

import { z } from "zod";
import { usual_partial } from "../core/match.ts";
import { notice_place, notice_place_max, notice_place_words } from "../core/notice.ts";
import type { Capabilities, Outcome, Refusal } from "../core/types.ts";
import type { DateSwitches } from "../store/appSwitches.ts";
import type { Provisioning, Sourcing } from "../store/tables.ts";
import { scheduleProblem } from "./importSchedule.ts";

const provisioningShape = z.strictObject({
  create: z.boolean(),
  update: z.boolean(),
  on_unassign: z.enum(["disable", "delete", "keep"]),
  on_suspend: z.enum(["disable", "keep"]),
  state: z.boolean().default(true),
  password: z.enum(["none", "random", "sync"]),
  match_attribute: z.string().min(1).max(200),
  concurrency: z.int().min(1).max(1_000),
  rate_per_s: z.number().positive().max(100_000).nullable(),
  reconcile_hours: z.int().min(1).max(8_784),
});

const source_attribute = z.string().min(1).max(200).nullable();

const combination = z.array(z.string().min(1).max(200)).min(1).max(10);
const match_on_words =
  'give attributes that must all be equal, such as ["lastName","employeeNumber"], or a list of such lists, of which any is enough: [["login"],["email"]]; 10 of each at most';

/** Both names must count: by them people are found, and by one alone whole families are alike. */
const weights = z
  .record(z.string().min(1).max(200), z.number().positive().max(1_000))
  .refine((all) => Object.keys(all).length <= 20, "20 attributes at most")
  .refine((all) => Object.hasOwn(all, "lastName") && Object.hasOwn(all, "firstName"), {
    error: "lastName and firstName must both have a weight",
  });
const partial_words = 'give true, false, or how alike people must be in per cent, such as {"at_least": 75}';
const partialShape = z.strictObject(
  { at_least: z.number({ error: "give per cent, from 50 to 100" }).min(50).max(100), weights: weights.optional() },
  { error: ({ code }) => (code === "invalid_type" ? partial_words : undefined) },
);
/** On and off are words for it, too. */
const match_partial = z.preprocess(
  (given) => (given === true ? usual_partial : given === false ? null : given),
  partialShape.nullable(),
);

const sourcingShape = z.strictObject({
  match_on: z.union([combination, z.array(combination).min(1).max(10)], { error: match_on_words }),
  match_partial: match_partial.default(null),
  auto_confirm: z.boolean(),
  auto_confirm_new: z.boolean().default(true),
  auto_confirm_partial: z.boolean().default(false),
  auto_activate: z.boolean(),
  on_inactive: z.enum(["none", "deactivate", "suspend"]),
  reactivate_suspended: z.boolean(),
  reactivate_deactivated: z.boolean(),
  guard_percent: z.number().min(0).max(100),
  guard_people: z.int().min(0).max(10_000_000),
  start_attribute: source_attribute,
  end_attribute: source_attribute,
  time_zone_attribute: source_attribute,
  import_hook: z.string().min(1).max(100).nullable().default(null),
  alias_attribute: source_attribute.default(null),
  type_attribute: source_attribute.default(null),
  schedule: z.string().min(1).max(200).nullable().default(null),
  incremental_schedule: z.string().min(1).max(200).nullable().default(null),
  schedule_zone: z.string().min(1).max(100).nullable().default(null),
  notify_id: z.string().max(notice_place_max).regex(notice_place, notice_place_words).nullable().default(null),
  start_hour: z.int().min(0).max(23),
  end_hour: z.int().min(1).max(24),
  hire_lead_days: z.int().min(0).max(366),
  change_lead_days: z.int().min(0).max(366),
  leave_lead_days: z.int().min(0).max(366),
  last_day_attribute: source_attribute,
  urgent_attribute: source_attribute,
  several_rows: z.boolean(),
  primary_attribute: source_attribute,
  absence_start_attribute: source_attribute,
  absence_end_attribute: source_attribute,
  on_absence: z.enum(["keep", "suspend"]),
  merged_attribute: source_attribute,
  every_job: z
    .record(z.string().min(1).max(200), z.string().min(1).max(200))
    .refine((all) => Object.keys(all).length <= 20, "20 attributes at most"),
  end_required_attribute: source_attribute,
  end_required_values: z.array(z.string().max(200)).max(100),
  end_warning_days: z.int().min(0).max(366),
});

/** The switches a new app starts with: all that its connector can do. `undefined`: an app without connector. */
export function provisioningDefaults(can: Capabilities | undefined): Provisioning {
  return {
    create: can?.create ?? false,
    update: can?.update ?? false,
    on_unassign: can === undefined || can.disable ? "disable" : can.delete ? "delete" : "keep",
    on_suspend: can === undefined || can.disable ? "disable" : "keep",
    state: true,
    password: can?.password ? "random" : "none",
    match_attribute: "userName",
    concurrency: 16,
    rate_per_s: null,
    reconcile_hours: 24,
  };
}

/** How days are read when nobody says otherwise: local midnight, and everything on its day. */
export const dateDefaults: DateSwitches = {
  start_hour: 0,
  end_hour: 24,
  hire_lead_days: 0,
  change_lead_days: 0,
  leave_lead_days: 0,
  last_day_attribute: null,
  urgent_attribute: null,
  several_rows: false,
  primary_attribute: null,
  absence_start_attribute: null,
  absence_end_attribute: null,
  on_absence: "suspend",
  merged_attribute: null,
  every_job: {},
  end_required_attribute: null,
  end_required_values: [],
  end_warning_days: 14,
};

/** The rules a new source starts with: an exact match is confirmed, and a leaver in the source leaves (guarded). */
export const sourcingDefaults: Sourcing = {
  match_on: ["login"],
  match_partial: null,
  auto_confirm: true,
  auto_confirm_new: true,
  auto_confirm_partial: false,
  auto_activate: true,
  on_inactive: "deactivate",
  reactivate_suspended: true,
  reactivate_deactivated: true,
  guard_percent: 20,
  guard_people: 10,
  start_attribute: null,
  end_attribute: null,
  time_zone_attribute: null,
  import_hook: null,
  alias_attribute: null,
  type_attribute: null,
  schedule: null,
  incremental_schedule: null,
  schedule_zone: null,
  notify_id: null,
  ...dateDefaults,
};

/** `before` with a change applied, or what is wrong with it; switching on what the connector cannot do is refused. */
export function changeProvisioning(
  before: Provisioning,
  change: Readonly<Record<string, unknown>>,
  can: Capabilities | undefined,
): Outcome<Provisioning> {
  const parsed = provisioningShape.safeParse({ ...before, ...change });
  if (!parsed.success) return shapeRefusal("provisioning", parsed.error);
  const next = parsed.data;
  if (!next.state && (next.create || next.on_unassign !== "keep")) {
    const name = next.create ? "create" : "on_unassign";
    const refused = `provisioning.${name}: with state=false accounts are neither made nor ended here: set create=false on_unassign=keep too`;
    return { refused, code: "invalid", place: `provisioning.${name}` };
  }
  const missing = missingCapability(change, next, can);
  if (missing === undefined) return { ok: next };
  const refused =
    can === undefined
      ? `this app has no connector, so "${missing}" cannot be turned on: make it with the connector of the system behind it`
      : `the connector of this app cannot do what "${missing}" asks for`;
  return { refused, code: "invalid", place: `provisioning.${missing}` };
}

function missingCapability(
  change: Readonly<Record<string, unknown>>,
  next: Provisioning,
  can: Capabilities | undefined,
): string | undefined {
  // Only what is being asked for is judged: a connector that loses an ability must not block every other change.
  const asked = (name: keyof Provisioning, value: unknown) => Object.hasOwn(change, name) && next[name] === value;
  if (asked("create", true) && !can?.create) return "create";
  if (asked("update", true) && !can?.update) return "update";
  if (can !== undefined && asked("on_unassign", "disable") && !can.disable) return "on_unassign";
  if (can !== undefined && asked("on_unassign", "delete") && !can.delete) return "on_unassign";
  if (can !== undefined && asked("on_suspend", "disable") && !can.disable) return "on_suspend";
  if ((asked("password", "random") || asked("password", "sync")) && !can?.password) return "password";
  return undefined;
}

/** The rules of a source with a change applied to `before` (or to the defaults), or what is wrong with it. */
export function changeSourcing(before: Sourcing | null, change: Readonly<Record<string, unknown>>): Outcome<Sourcing> {
  const parsed = sourcingShape.safeParse({ ...sourcingDefaults, ...before, ...change });
  if (!parsed.success) return shapeRefusal("sourcing", parsed.error);
  return endProblem(parsed.data) ?? clockProblem(parsed.data) ?? { ok: parsed.data };
}

/** An end that is compulsory must be told by something, for somebody: else all such rows are refused, or none is. */
function endProblem(next: Sourcing): Refusal | undefined {
  if ((next.end_required_attribute ?? null) === null) return undefined;
  const problem = (name: string, what: string): Refusal => {
    const place = `sourcing.${name}`;
    return { refused: `${place}: ${what}`, code: "invalid", place };
  };
  if ((next.end_required_values ?? []).length === 0) {
    return problem("end_required_values", 'name those who must have a last day, such as ["contractor"]');
  }
  if (next.end_attribute !== null || (next.last_day_attribute ?? null) !== null) return undefined;
  return problem("end_attribute", "name the attribute that holds the last day, which is to be compulsory");
}

function clockProblem(next: Sourcing): Refusal | undefined {
  const found = scheduleProblem(next);
  if (found === undefined) return undefined;
  const place = `sourcing.${found.name}`;
  return { refused: `${place}: ${found.problem}`, code: "invalid", place };
}

/** Is anything about this app's accounts kept by the engine? If not, an assignment is all there is. */
export function keepsAccounts(app: Readonly<{ kind: string; provisioning: Provisioning }>): boolean {
  const { create, update, on_unassign } = app.provisioning;
  return app.kind !== "none" && (create || update || on_unassign !== "keep");
}

function shapeRefusal(root: string, error: z.ZodError): Refusal {
  const issue = error.issues[0];
  const at = issue?.code === "unrecognized_keys" ? [...issue.path, issue.keys[0]].join(".") : issue?.path.join(".");
  const place = at ? `${root}.${at}` : root;
  const what = issue?.code === "unrecognized_keys" ? "there is no such switch" : (issue?.message ?? "not valid");
  return { refused: `${place}: ${what}`, code: "invalid", place };
}
