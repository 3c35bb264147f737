/**
 * The one table from refusals to HTTP: each refusal code has a status and one of Okta's error codes, and every error
 * leaves the server in Okta's form (errorCode, errorSummary, errorLink, errorId, errorCauses).
 *
 * Law: `errorCauses` is always a list; its first line is the sentence for people: who, which attribute, what to do.
 * Nothing of an unexpected error is told but its id, by which the server's own output can be searched.
 *
 * Routes call `must(outcome)` to pass a result on or refuse; `server.ts` turns whatever was thrown into an answer.
 */
import { randomBytes } from "node:crypto";
import type { LifecycleReason } from "../core/lifecycle.ts";
import type { ProfileFault } from "../core/schema.ts";
import type { Refusal, RefusalCode } from "../core/types.ts";
import { isRefusal } from "../store/database.ts";

/** An error as it goes out. */
export type ErrorBody = Readonly<{
  errorCode: string;
  errorSummary: string;
  errorLink: string;
  errorId: string;
  errorCauses: readonly Readonly<{ errorSummary: string }>[];
}>;

/** What a route throws to end a request with an error. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly causes: readonly string[];

  constructor(status: number, code: string, summary: string, causes: readonly string[] = []) {
    super(summary);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.causes = causes;
  }
}

/** Okta's word for a thing that was not found, by the prefix of its id. */
const types: Readonly<Record<string, string>> = {
  "00u": "User",
  "00g": "UserGroup",
  "0pr": "GroupRule",
  "0oa": "AppInstance",
  "0ua": "AppUser",
  prm: "ProfileMapping",
  gPm: "GroupPushMapping",
  oty: "CVDType",
  osc: "Schema",
  "00T": "Token",
  tsk: "Task",
  imp: "Import",
  aps: "IdentitySourceSession",
  who: "Webhook",
  cal: "InlineHook",
  cr0: "CustomRole",
  iam: "IAMPolicy",
  ire: "Resource",
  uis: "UISchemaEntity",
  mbl: "UserFactor",
  ufs: "UserFactor",
  opf: "UserFactor",
  oag: "OAuth2ScopeConsentGrant",
  ocs: "OAuth2ClientSecret",
  pks: "OAuth2ClientSecret",
  con: "Connection",
  ftr: "Feature",
  "102": "AppSession",
};

const status: Readonly<Record<RefusalCode, readonly [number, string]>> = {
  not_found: [404, "E0000007"],
  invalid: [400, "E0000001"],
  duplicate: [400, "E0000001"],
  cycle: [400, "E0000001"],
  too_large: [400, "E0000001"],
  illegal_transition: [403, "E0000038"],
  forbidden: [403, "E0000006"],
  stale: [409, "E0000001"],
  unavailable: [503, "E0000010"],
};

const summaries: Readonly<Record<string, string>> = {
  E0000006: "You do not have permission to perform the requested action",
  E0000010: "Service is in read only mode",
  E0000038: "This operation is not allowed in the user's current status.",
};

type Form = readonly [status: number, code: string, summary: string];

/** A status change that is refused has an Okta error of its own (core/lifecycle.ts names the reasons). */
const reasons: Readonly<Partial<Record<LifecycleReason, Form>>> = {
  already_active: [403, "E0000016", "Activation failed because the user is already active"],
  not_locked_out: [403, "E0000032", "Unlock is not allowed for this user."],
  cannot_suspend: [400, "E0000001", "Api validation failed: suspendUser"],
  cannot_unsuspend: [400, "E0000001", "Api validation failed: unsuspendUser"],
  password_elsewhere: [400, "E0000041", "Credentials should not be set on this resource based on the scheme."],
  password_needed: [
    400,
    "E0000124",
    "Could not create user. To create a user and expire their password immediately, a password must be specified",
  ],
  password_needs_activation: [
    400,
    "E0000125",
    'Could not create user. To create a user and expire their password immediately, "activate" must be true',
  ],
};

/** Gives the result on, or throws its refusal. `object` names what was validated, in Okta's words (`newUser`). */
export function must<T>(outcome: T | Refusal, object?: string): Exclude<T, Refusal> {
  if (isRefusal(outcome)) throw refusalError(outcome, object);
  return outcome as Exclude<T, Refusal>;
}

/** The error of a refusal. */
export function refusalError(
  refusal: Refusal & { reason?: string; faults?: readonly ProfileFault[] },
  object?: string,
): ApiError {
  const form = reasons[refusal.reason as LifecycleReason];
  if (form !== undefined) return new ApiError(form[0], form[1], form[2], [refusal.refused]);
  if (refusal.code === "not_found") return missing(refusal);
  const [http, code] = status[refusal.code];
  const causes = refusal.faults?.map((fault) => `${fault.attribute}: ${fault.problem}`) ?? [refusal.refused];
  const place = object ?? refusal.place ?? "request";
  return new ApiError(http, code, summaries[code] ?? `Api validation failed: ${place}`, causes);
}

function missing(refusal: Refusal): ApiError {
  const id = /\b[0-9A-Za-z]{20}\b/.exec(`${refusal.place ?? ""} ${refusal.refused}`)?.[0];
  const type = id === undefined ? undefined : types[id.slice(0, 3)];
  if (id === undefined || type === undefined) return new ApiError(404, "E0000007", `Not found: ${refusal.refused}`);
  return notFound(id, type, [refusal.refused]);
}

/** 404 with Okta's text; `type` is Okta's word for the noun, by default that of the id's prefix. */
export function notFound(
  id: string,
  type: string = types[id.slice(0, 3)] ?? "Resource",
  causes: readonly string[] = [],
): ApiError {
  return new ApiError(404, "E0000007", `Not found: Resource not found: ${id.slice(0, 200)} (${type})`, causes);
}

/** Gives the value on, or throws a 404 for its id. */
export function found<T>(value: T | undefined | null, id: string, type?: string): T {
  if (value === undefined || value === null) throw notFound(id, type);
  return value;
}

/** 400: what was validated, and everything that is wrong with it. */
export function invalid(object: string, ...causes: string[]): ApiError {
  return new ApiError(400, "E0000001", `Api validation failed: ${object}`, causes);
}

/** The body of an error, with a new id. */
export function errorBody(error: ApiError): ErrorBody {
  return {
    errorCode: error.code,
    errorSummary: error.message,
    errorLink: error.code,
    errorId: `oae${randomBytes(16).toString("base64url")}`,
    errorCauses: error.causes.map((errorSummary) => ({ errorSummary })),
  };
}
