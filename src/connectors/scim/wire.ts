/**
 * One SCIM request and what its answer means: the vendor's error map first, then SCIM's own words, then the status
 * table of http.ts. A 404 for a whole collection is a wrong address and not a missing account.
 *
 * Called by connector.ts, paging.ts and groups.ts.
 */

import { field, isObject, type ScimObject } from "../../core/scim/path.ts";
import type { FaultKind } from "../../core/types.ts";
import { ConnectorFault, type Context } from "../connector.ts";
import { type Http, type HttpAnswer, type HttpRequest, statusFault } from "../http.ts";
import type { ScimProfile } from "./profile.ts";
import type { PlacedSchema } from "./schema.ts";

export type Wire = Readonly<{
  profile: ScimProfile;
  base_url: string;
  /** Any answer that came. */
  send(ctx: Context, request: HttpRequest): Promise<HttpAnswer>;
  /** An answer with 2xx; throws the fault that any other one means. */
  call(ctx: Context, request: HttpRequest): Promise<HttpAnswer>;
  /** Throws the fault that an answer to a request means, if it is not 2xx. */
  check(ctx: Context, request: HttpRequest, answer: HttpAnswer): void;
  /** The fault of an answer, null for 2xx. */
  fault(ctx: Context, answer: HttpAnswer): ConnectorFault | null;
}>;

/** `/Users/` and an id as one path segment. Throws `invalid` for an id that would name another place. */
export function resourcePath(resource: "Users" | "Groups", id: string): string {
  if (id === "" || id === "." || id === "..")
    throw new ConnectorFault("invalid", `"${id}" cannot be an id in a SCIM app`);
  return `/${resource}/${encodeURIComponent(id)}`;
}

/** The SCIM type of an error answer, such as `noTarget`; undefined if it has none. */
export function scimType(answer: HttpAnswer): string | undefined {
  const type = field(answer.json, "scimType");
  return typeof type === "string" ? type : undefined;
}

/** The body as one object; undefined if there is none, as after 204. */
export function answeredObject(answer: HttpAnswer): ScimObject | undefined {
  return isObject(answer.json) ? answer.json : undefined;
}

function detailOf(answer: HttpAnswer): string | undefined {
  for (const name of ["detail", "message", "error_description", "error"]) {
    const text = field(answer.json, name);
    if (typeof text === "string" && text !== "") return text;
  }
  return undefined;
}

/** Our name of an attribute that an app's message names by path or by name; the longest one that fits. */
function attributeIn(detail: string | undefined, schema: PlacedSchema): string | undefined {
  if (detail === undefined) return undefined;
  const words = new Set(detail.slice(0, 2_000).split(/[^\w.:$-]+/));
  const fitting = [...schema.values()].filter(({ attribute, path }) =>
    [attribute.name, path.text, path.attribute].some((name) => words.has(name)),
  );
  return fitting.sort((a, b) => b.path.text.length - a.path.text.length)[0]?.attribute.name;
}

function mappedKind(
  answer: HttpAnswer,
  detail: string,
  profile: ScimProfile,
): ScimProfile["errors"][number] | undefined {
  return profile.errors.find(
    (one) =>
      one.status === answer.status &&
      (one.scim_type === undefined || one.scim_type === scimType(answer)) &&
      (one.detail === undefined || detail.toLowerCase().includes(one.detail.toLowerCase())),
  );
}

/** Several apps say a duplicate with 400; the type tells. */
const type_kinds: Readonly<Record<string, FaultKind>> = { uniqueness: "conflict" };

function explained(answer: HttpAnswer, now: Date, profile: ScimProfile, schema: PlacedSchema): ConnectorFault | null {
  if (answer.status >= 200 && answer.status < 300 && !answer.html) return null;
  const detail = detailOf(answer);
  const mapped = mappedKind(answer, detail ?? answer.text, profile);
  const type = scimType(answer);
  const by_type = answer.status === 400 && type !== undefined ? type_kinds[type] : undefined;
  const kind = mapped?.kind ?? by_type;
  const attribute = mapped?.attribute ?? attributeIn(detail, schema);
  const named = detail === undefined || type === undefined ? detail : `${detail} (${type})`;
  return statusFault(answer, now, { detail: named, attribute, kind });
}

/** A collection that is not there means that the base URL is wrong. */
function misplaced(fault: ConnectorFault, request: HttpRequest, base_url: string): ConnectorFault {
  const collection = /^\/(Users|Groups)$/.test(request.path);
  if (fault.kind !== "not_found" || !collection || request.query?.["filter"] !== undefined) return fault;
  const hint = `is ${base_url} the app's SCIM base URL?`;
  return new ConnectorFault("denied", `${fault.message}; there is no ${request.path} here: ${hint}`, {
    ...(fault.status === undefined ? {} : { status: fault.status }),
  });
}

/** Puts the SCIM content types and the meaning of errors upon a client. */
export function scimWire(http: Http, profile: ScimProfile, schema: PlacedSchema): Wire {
  const fault = (ctx: Context, answer: HttpAnswer) => explained(answer, ctx.now(), profile, schema);
  const send = (ctx: Context, request: HttpRequest) => {
    const type: Record<string, string> =
      request.json === undefined ? {} : { "content-type": profile.http.content_type };
    return http.send(ctx, { ...request, headers: { accept: profile.http.accept, ...type, ...request.headers } });
  };
  const check = (ctx: Context, request: HttpRequest, answer: HttpAnswer) => {
    const wrong = fault(ctx, answer);
    if (wrong !== null) throw misplaced(wrong, request, http.base_url);
  };
  return {
    profile,
    base_url: http.base_url,
    send,
    fault,
    check,
    async call(ctx, request) {
      const answer = await send(ctx, request);
      check(ctx, request, answer);
      return answer;
    },
  };
}
