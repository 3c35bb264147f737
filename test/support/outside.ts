/** The way out of a world for tests: addresses may be on loopback, and secrets are sealed with a key of zeros. */
import { secret } from "../../src/connectors/connector.ts";
import { webhook } from "../../src/connectors/webhook.ts";
import type { World } from "../../src/engine/world.ts";
import type { Database } from "../../src/store/database.ts";
import { getSecret, type Key } from "../../src/store/secrets.ts";

export const test_key: Key = { id: "test", bytes: Buffer.alloc(32) };

/** `webhook` and `secret` of a world over this database. */
export function outside(db: Database, now: () => Date): Pick<World, "webhook" | "secret"> {
  return {
    webhook: (target) => webhook(target, { allow_private: true }),
    secret: async (place) => {
      const clear = await getSecret(db, test_key, place, now());
      return clear === undefined ? undefined : secret(clear);
    },
  };
}
