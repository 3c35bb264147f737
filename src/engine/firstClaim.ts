/**
 * The first claim of a new account: whoever decides that it is to be claims it in the statement that writes it, as far as
 * the node has places for it. A wave of hires then needs no claims: a statement that finds, locks, rewrites and reads each
 * account again, a seventh of what PostgreSQL does for one.
 *
 * It is a claim like any other (claim.ts): a lease, a name of its own, an unsure row and the match key that a create may be
 * sent with; a node that dies with it is followed by another when the lease ends. Only of an account that is new nothing has
 * to be read: there is no have, no external id and no fault.
 */

import type { RawBuilder } from "kysely";
import type { Want } from "../core/types.ts";
import { sql } from "../store/database.ts";
import { type Claimed, claimName } from "./claim.ts";
import type { World } from "./world.ts";

/** How many new accounts of an app this node can begin with now. */
export type Places = (app_id: string) => number;

/** An account that is written, as far as a claim asks for it. */
type Written = Readonly<{
  app_id: string;
  user_id: string;
  login: string;
  want: Want | null;
  match_key: string | null;
  urgency: number;
  cause: number | null;
  begins: boolean;
}>;

/**
 * `takes`: is there a place for this one? Asking takes it. `columns`: claimed_by, claimed_until and tried_keys of its work
 * row, as SQL over the input `i` and the saved `s`. `claimed`: what the statement claimed, by the work rows that are this
 * claim's: account, app and user with blanks between them, and commas between the rows (our ids have neither).
 */
export type FirstClaims = Readonly<{
  takes(app_id: string): boolean;
  name: string;
  columns: RawBuilder<unknown>;
  claimed(lines: readonly Written[], rows: string): readonly Claimed[];
}>;

/** Makes the first claims of one transaction of desire. */
export function firstClaims(world: World, places: Places): FirstClaims {
  const name = claimName(world);
  const until = new Date(world.now().getTime() + world.lease_ms);
  const left = new Map<string, number>();
  return {
    name,
    takes: (app_id) => {
      const free = left.get(app_id) ?? places(app_id);
      left.set(app_id, free - 1);
      return free > 0;
    },
    columns: sql`case when i.begins and s.made then ${name} end, case when i.begins and s.made then ${until}::timestamptz end,
      case when i.begins and s.made and i.match_key is not null then array[i.match_key] else '{}' end`,
    claimed: (lines, rows) => {
      if (rows === "") return [];
      const written = new Map(lines.map((line) => [`${line.app_id} ${line.user_id}`, line]));
      return rows.split(",").flatMap((row) => {
        const end = row.indexOf(" ");
        const line = written.get(row.slice(end + 1));
        return line ? claimOf(line, { account_id: row.slice(0, end), name, until }) : [];
      });
    },
  };
}

type Claim = Readonly<{ account_id: string; name: string; until: Date }>;

const claimOf = (line: Written, { account_id, name, until }: Claim): Claimed => ({
  ...{ account_id, app_id: line.app_id, user_id: line.user_id, login: line.login },
  ...{ revision: 1, want: line.want, have: null, external_id: null, pending: null },
  ...{ match_key: line.match_key, tried_keys: line.match_key === null ? [] : [line.match_key] },
  ...{ was_unsure: true, attempts: 0, had_fault: false, first_fault_at: null },
  ...{ priority: line.urgency, cause: line.cause, claim: name, claimed_until: until },
});
