/**
 * What a server says it can do at once (ServiceProviderConfig, RFC 7643 5): searches and writes of many accounts in one
 * request. Asked when there is something to do at once, and no more than that: a server that says nothing is asked one
 * account at a time.
 *
 * Called by searches.ts and bulk.ts.
 */
import { field } from "../../core/scim/path.ts";
import { ConnectorFault, type Context } from "../connector.ts";
import type { ScimProfile } from "./profile.ts";
import type { Wire } from "./wire.ts";

/** `search_max`: results of one search; `bulk`: operations and bytes of one request. 0: not at once. */
export type Offers = Readonly<{ search_max: number; bulk_max: number; bulk_bytes: number }>;

/** `known`: what was said; undefined before anybody asked. `read` asks once. */
export type OffersReader = Readonly<{ known(): Offers | undefined; read(ctx: Context): Promise<Offers> }>;

const nothing: Offers = { search_max: 0, bulk_max: 0, bulk_bytes: 0 };

/** A server that fails to answer is asked this often. */
const tries_max = 3;

/** Makes the reader of one server's offers, of which the profile may take only some. */
export function offersReader(wire: Wire, profile: ScimProfile): OffersReader {
  const wanted = profile.batch.search || profile.batch.bulk;
  let known: Offers | undefined = wanted && profile.discovery.use !== "never" ? undefined : nothing;
  let asking: Promise<Offers> | undefined;
  let tries = 0;
  const ask = async (ctx: Context) => {
    try {
      const answer = await wire.call(ctx, { method: "GET", path: profile.discovery.service_provider_config });
      known = offersOf(answer.json, profile);
    } catch (fault) {
      if (!(fault instanceof ConnectorFault)) throw fault;
      const passing = fault.kind === "retry" || fault.kind === "rate_limited" || fault.kind === "denied";
      if (!passing || ++tries >= tries_max) known = nothing;
    } finally {
      asking = undefined;
    }
    return known ?? nothing;
  };
  return {
    known: () => known,
    read: async (ctx) => {
      if (known !== undefined) return known;
      asking ??= ask(ctx);
      return asking;
    },
  };
}

function offersOf(config: unknown, { batch }: ScimProfile): Offers {
  const [filter, bulk] = [field(config, "filter"), field(config, "bulk")];
  const search = batch.search && field(filter, "supported") === true;
  const writes = batch.bulk && field(bulk, "supported") === true;
  return {
    search_max: search ? atMost(field(filter, "maxResults")) : 0,
    bulk_max: writes ? atMost(field(bulk, "maxOperations")) : 0,
    bulk_bytes: writes ? atMost(field(bulk, "maxPayloadSize")) : 0,
  };
}

/** A limit as it is said; servers that say none, or 0 beside "supported", have none. */
const atMost = (value: unknown): number =>
  typeof value === "number" && Number.isInteger(value) && value > 0 ? value : Number.POSITIVE_INFINITY;
