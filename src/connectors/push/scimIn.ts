/**
 * A source that pushes its people and groups to us over SCIM (server/scim). What it said last is in our database, where an
 * import reads it from (engine/scimSource.ts); this connector only says what such a source has. Made by registry.ts.
 */
import { z } from "zod";
import { baseAttributes } from "../../core/scim/attributes.ts";
import type { Attribute } from "../../core/types.ts";
import type { Connector } from "../connector.ts";
import { pushConnector } from "./connector.ts";

export const scim_in_config = z.strictObject({
  strict: z
    .boolean()
    .default(false)
    .meta({ title: "Strict", description: "Refuse what RFC 7644 and the interoperability profile do not say" }),
});

/** What people in such a source have until an administrator adds to it. We never write there. */
export const scim_in_attributes: readonly Attribute[] = baseAttributes.map((one) => ({ ...one, writable: "never" }));

/** The connector of every source that pushes over SCIM. */
export function scimInConnector(): Connector {
  return Object.freeze({
    ...pushConnector("it pushes its people to /scim/v2 by itself"),
    kind: "scim_in",
    schema: () => Promise.resolve({ attributes: scim_in_attributes }),
  } satisfies Connector);
}
