/**
 * What goes out over SCIM: resources with their meta, lists, errors. A resource is kept as the source said it; id, meta,
 * schemas, groups and members are put to it here.
 */

import type { ResourceSchema } from "../../core/scim/definitions.ts";
import { errorBody, type ScimFault } from "../../core/scim/fault.ts";
import { isObject } from "../../core/scim/path.ts";
import type { Stored } from "../../core/scim/values.ts";
import type { ScimRow } from "../../directory/scimResources.ts";

export const scim_type = "application/scim+json; charset=utf-8";

/** An answer before it is written. */
export type Reply = Readonly<{ status: number; body?: unknown; headers?: Readonly<Record<string, string>> }>;

/** What a route throws to end a request with a SCIM error. */
export class ScimError extends Error {
  readonly fault: ScimFault;
  constructor(fault: ScimFault) {
    super(fault.detail);
    this.name = "ScimError";
    this.fault = fault;
  }
}

/** The value, or its fault thrown. */
export function ok<T>(judged: Readonly<{ ok: T }> | Readonly<{ fault: ScimFault }>): T {
  if ("fault" in judged) throw new ScimError(judged.fault);
  return judged.ok;
}

export const notFound = (type: string, id: string): ScimError =>
  new ScimError({ status: 404, detail: `there is no ${type} ${id.slice(0, 100)}` });

export const etagOf = ({ version }: Pick<ScimRow, "version">): string => `W/"${version}"`;

/** The version that If-Match asks for: null any, undefined none that there is. */
export function versionOf(header: string | string[] | undefined): number | null | undefined {
  const text = Array.isArray(header) ? header.join(",") : header;
  if (text === undefined || text.trim() === "" || text.trim() === "*") return null;
  const found = /^\s*(?:W\/)?"(\d{1,9})"\s*$/.exec(text);
  return found ? Number(found[1]) : undefined;
}

/** A resource as it goes out. `more`: what is kept elsewhere. */
export function resourceBody(base: string, schema: ResourceSchema, row: ScimRow, more: Stored = {}): Stored {
  const urns = schema.extensions.flatMap(({ urn }) => (isObject(row.resource[urn]) ? [urn] : []));
  return {
    schemas: [schema.urn, ...urns],
    id: row.id,
    ...row.resource,
    // A user who was never said to be inactive is there.
    ...(schema.type === "User" && row.resource["active"] === undefined ? { active: true } : {}),
    ...more,
    meta: {
      ...{
        resourceType: schema.type,
        created: row.created_at.toISOString(),
        lastModified: row.updated_at.toISOString(),
      },
      ...{ location: `${base}/${schema.type}s/${row.id}`, version: etagOf(row) },
    },
  };
}

export const faultReply = (fault: ScimFault): Reply => ({
  status: fault.status,
  body: errorBody(fault),
  ...(fault.status === 503 ? { headers: { "retry-after": "5" } } : {}),
});
