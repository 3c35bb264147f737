/**
 * Everything the engine takes from outside: the database, the time, chance, deadlines and the way to the apps. A real
 * node and a simulation differ only in this value.
 */

import type { Connector, Secret } from "../connectors/connector.ts";
import type { Webhook, WebhookTarget } from "../connectors/webhook.ts";
import type { PlanApp } from "../core/plan.ts";
import type { Attribute } from "../core/types.ts";
import type { Database } from "../store/database.ts";
import type { SecretPlace } from "../store/secrets.ts";
import type { Provisioning } from "../store/tables.ts";

/** An app with its connector, as the engine works on it. */
export type EngineApp = Readonly<{
  id: string;
  label: string;
  kind: string;
  connector: Connector;
  provisioning: Provisioning;
  attributes: readonly Attribute[];
}>;

/** An app as plans look at it. */
export const planAppOf = ({
  connector,
  attributes,
  provisioning,
}: Pick<EngineApp, "connector" | "attributes" | "provisioning">): PlanApp => ({
  ...{ can: connector.can, attributes },
  ...{ update: provisioning.update, state: provisioning.state ?? true },
});

/**
 * Faults that the simulator must find when they are put back (`BUG=` of npm run simulate). Never set by main.ts.
 *
 * - `no_lookup`: create without looking first (breaks rule 4).
 * - `no_fencing`: confirm without asking whose claim it is.
 * - `no_unsure`: claiming does not make a row unsure (breaks rule 1).
 * - `late_calls`: write after the lease has ended (breaks rule 2).
 * - `forget_tried_keys`: look only for today's name, not for the one a lost create was sent with.
 * - `clear_always`: confirm clears due although want has moved since the claim.
 * - `trust_short_list`: reconcile takes an incomplete list for the whole truth.
 */
export type Bug =
  | "no_lookup"
  | "no_fencing"
  | "no_unsure"
  | "late_calls"
  | "forget_tried_keys"
  | "clear_always"
  | "trust_short_list";

export type World = Readonly<{
  db: Database;
  /** This process, unique among the nodes of one database. */
  node: string;
  now(): Date;
  /** Uniform in [0, 1): jitter only. */
  random(): number;
  /** A signal that aborts at `at`. */
  deadline(at: Date): AbortSignal;
  /** A new random password that meets common policies. */
  password(): Secret;
  /**
   * The app ready to be called; throws a ConnectorFault of kind `denied` when its configuration cannot be opened.
   * `version`: what `runnable` has just read of it, so that an app that is open in that version is not read again.
   */
  app(app_id: string, version?: string): Promise<EngineApp>;
  /** A source ready to be listed; `file`: an uploaded file in place of the configured one. */
  source(app_id: string, file?: string): Promise<EngineApp>;
  /** Opens an address that somebody gave us; throws a ConnectorFault for one that may not be called from here. */
  webhook(target: WebhookTarget): Webhook;
  /** What is sealed for a place; undefined: nothing is. */
  secret(place: SecretPlace): Promise<Secret | undefined>;
  lease_ms: number;
  bugs?: ReadonlySet<Bug>;
}>;

/** Every call ends this long before its lease does, so that an answer is always in time to be confirmed. */
export const lease_margin_ms = 2_000;

/** Is a fault planted? Always false outside the simulator. */
export const planted = (world: World, bug: Bug): boolean => world.bugs?.has(bug) ?? false;
