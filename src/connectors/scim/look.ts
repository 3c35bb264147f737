/**
 * Looking at a SCIM app's accounts: one by its id, or those with a certain value. What a search answers is checked here
 * again, because servers ignore filters, fold capitals, or compare with another attribute than the one asked for.
 *
 * Called by connector.ts and write.ts.
 */

import type { ScimObject } from "../../core/scim/path.ts";
import { fromResource, resourceId } from "../../core/scim/resource.ts";
import { ConnectorFault, type Context, type ExternalId, type MatchKey, type RemoteAccount } from "../connector.ts";
import type { BulkWriter } from "./bulk.ts";
import { type ListingMemory, searchAll } from "./paging.ts";
import type { ScimProfile } from "./profile.ts";
import type { Placed, PlacedSchema } from "./schema.ts";
import { holds, type Search, type Searches } from "./searches.ts";
import { answeredObject, resourcePath, type Wire } from "./wire.ts";

/** What one connector is made of. */
export type Parts = Readonly<{
  wire: Wire;
  profile: ScimProfile;
  schema: PlacedSchema;
  memory: ListingMemory;
  searches: Searches;
  bulk: BulkWriter;
}>;

/** The resource with an id as the app has it; null if there is none. */
export async function rawAccount({ wire }: Parts, ctx: Context, id: ExternalId): Promise<ScimObject | null> {
  const answer = await wire.send(ctx, { method: "GET", path: resourcePath("Users", id) });
  const fault = wire.fault(ctx, answer);
  if (fault?.kind === "not_found") return null;
  if (fault !== null) throw fault;
  const resource = answeredObject(answer);
  if (resource === undefined || resourceId(resource) === undefined) {
    const hint = "what answers at this address is not a SCIM 2.0 server; check the base URL";
    throw new ConnectorFault("denied", `${answer.request} answered ${answer.status} without a SCIM user: ${hint}`);
  }
  return resource;
}

/** As `rawAccount`; throws `not_found` if there is none. */
export async function knownAccount(parts: Parts, ctx: Context, id: ExternalId): Promise<ScimObject> {
  const raw = await rawAccount(parts, ctx, id);
  if (raw !== null) return raw;
  throw new ConnectorFault("not_found", `${parts.wire.base_url}: there is no account ${id}`, { status: "404" });
}

/** The account with an id; null if the app says it is not there. */
export async function readAccount(parts: Parts, ctx: Context, id: ExternalId): Promise<RemoteAccount | null> {
  const raw = await rawAccount(parts, ctx, id);
  return raw === null ? null : fromResource(raw, parts.schema);
}

function filterPath({ attribute, path }: Placed, profile: ScimProfile): string {
  return profile.user.filters[attribute.name] ?? path.text;
}

/**
 * Every filter worth trying: the attribute's own path, then the form without brackets that older servers know; for a
 * value with quotes, which not every server can parse, at last the whole list. undefined: no filter.
 */
export function filterForms(at: Placed, value: string, profile: ScimProfile): readonly (string | undefined)[] {
  const { filterable } = profile.user;
  if (!filterable.includes("*") && !filterable.includes(at.attribute.name)) return [undefined];
  const own = filterPath(at, profile);
  const plain = own.replace(/\[[^\]]*\]/, "");
  const literal = JSON.stringify(value);
  const forms = [own, plain].map((path) => `${path} eq ${literal}`);
  return [...new Set(forms), ...(literal === `"${value}"` ? [] : [undefined])];
}

type Looking = Pick<Parts, "wire" | "profile" | "schema">;

async function search(parts: Looking, ctx: Context, { at, value }: Search): Promise<readonly RemoteAccount[]> {
  const { wire, profile, schema } = parts;
  const accept = (account: RemoteAccount) => holds(account, at, value);
  const forms = filterForms(at, value, profile);
  for (const [index, filter] of forms.entries()) {
    const query: Record<string, string> = filter === undefined ? {} : { filter };
    try {
      return await searchAll(wire, ctx, { path: "/Users", query, show: (one) => fromResource(one, schema), accept });
    } catch (fault) {
      if (!(fault instanceof ConnectorFault)) throw fault;
      if (fault.kind === "not_found") return []; // several apps say "none" this way
      if (fault.kind !== "invalid" || index === forms.length - 1) throw fault;
    }
  }
  return [];
}

/** Searches for one value by itself. Throws `unsupported` where absence could not be told from a broken list. */
export async function findAlone(parts: Looking, ctx: Context, one: Search): Promise<readonly RemoteAccount[]> {
  const { at, value } = one;
  const found = await search(parts, ctx, one);
  const lower = value.toLowerCase();
  if (found.length > 0 || at.attribute.case_exact || lower === value) return found;
  // The attribute minds no case, but some servers' filters do, and those store what they were given or lower case.
  return search(parts, ctx, { at, value: lower });
}

/** The accounts that hold a value. Throws `unsupported` where absence could not be told from a broken list. */
export async function find(parts: Parts, ctx: Context, key: MatchKey): Promise<readonly RemoteAccount[]> {
  const at = parts.schema.get(key.attribute);
  if (at === undefined) {
    throw new ConnectorFault("invalid", `${parts.wire.base_url}: there is no attribute ${key.attribute} to look by`, {
      attribute: key.attribute,
    });
  }
  const found = await parts.searches.find(ctx, { at, value: key.value });
  for (const account of found) parts.searches.noticed(account);
  return found;
}
