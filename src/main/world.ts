/**
 * The real world, as the engine and the server take it: the clock with the shift that the demo may have set, chance,
 * deadlines, and connectors made from what an administrator entered. A simulation has a world of its own.
 *
 * Law: a connector is made again as soon as its app or schema changed, so no restart is ever needed; the old one is
 * closed only when no call of it can still be under way.
 */
import { randomFillSync } from "node:crypto";
import { type Connector, ConnectorFault, secret } from "../connectors/connector.ts";
import { type ConnectorOptions, createConnector } from "../connectors/registry.ts";
import { webhook } from "../connectors/webhook.ts";
import type { Attribute } from "../core/types.ts";
import { readCredentials } from "../directory/apps.ts";
import type { EngineApp, World } from "../engine/world.ts";
import { type Database, sql } from "../store/database.ts";
import { getSecret, type Key } from "../store/secrets.ts";
import type { Provisioning } from "../store/tables.ts";
import { newNodeName } from "./nodeName.ts";

export type RealWorld = World &
  Readonly<{
    /** Reads the clock's shift again, after it was moved. */
    readClock(): Promise<void>;
    close(): Promise<void>;
  }>;

/** Calls end before this. A killed node's work waits as long, so it is no longer than a slow app's answer may take. */
const lease_ms = 60_000;

/** Builds the world of this process. `options`: what the operator allows connectors to reach. */
export function realWorld(
  db: Database,
  key: Key,
  options: Pick<ConnectorOptions, "allow_private" | "folder">,
): RealWorld {
  const clock = realClock(db);
  const apps = connectorCache(db, key, clock.now, options);
  return {
    db,
    node: newNodeName(),
    now: clock.now,
    random: Math.random,
    deadline: sharedDeadlines(clock.now),
    password: () => secret(randomPassword()),
    app: apps.app,
    source: apps.source,
    webhook: (target) => webhook(target, { allow_private: options.allow_private ?? false }),
    secret: async (place) => {
      const clear = await getSecret(db, key, place, clock.now());
      return clear === undefined ? undefined : secret(clear);
    },
    lease_ms,
    readClock: clock.read,
    close: apps.close,
  };
}

/** Deadlines in one step are one signal: at most 600 for the leases of a minute, whatever the load. */
const deadline_step_ms = 100;

/**
 * Signals by their instant, which is brought forward to a full step: a timer for each of 1,500 calls a second would hold
 * 90,000 of them. One that has ended is forgotten by itself, whatever other deadlines are still to come.
 */
export function sharedDeadlines(now: () => Date): (at: Date) => AbortSignal {
  const known = new Map<number, AbortSignal>();
  return (at) => {
    const at_ms = Math.floor(at.getTime() / deadline_step_ms) * deadline_step_ms;
    const there = known.get(at_ms);
    if (there !== undefined) return there;
    const signal = AbortSignal.timeout(Math.max(0, at_ms - now().getTime()));
    known.set(at_ms, signal);
    signal.addEventListener("abort", () => known.delete(at_ms), { once: true });
    return signal;
  };
}

function realClock(db: Database) {
  let shift_ms = 0;
  let fixed_at: Date | null = null;
  return {
    now: () => fixed_at ?? new Date(Date.now() + shift_ms),
    read: async () => {
      const { rows } = await sql<{ fixed_at: Date | null; shift_ms: number }>`
        select fixed_at, (extract(epoch from shift) * 1000)::float8 as shift_ms from clock`.execute(db);
      fixed_at = rows[0]?.fixed_at ?? null;
      shift_ms = rows[0]?.shift_ms ?? 0;
    },
  };
}

const alphabets = ["abcdefghijkmnpqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789", "-_.!*+#%"] as const;

/** What each letter of a password is drawn from, before they are mixed. */
const drawn_from: readonly string[] = [...alphabets, ...alphabets, ...Array<string>(16).fill(alphabets.join(""))];

/** 24 characters, each kind at least twice: what the usual policies ask for, and nobody needs to type it. */
export function randomPassword(): string {
  const letters = drawn_from.map((from) => from.charAt(chance(from.length)));
  for (let n = letters.length - 1; n > 0; n--) {
    const other = chance(n + 1);
    const letter = letters[n] ?? "";
    letters[n] = letters[other] ?? "";
    letters[other] = letter;
  }
  return letters.join("");
}

/** Chance in store: a draw for each password was 30 of the 350 microseconds that a new account costs this process. */
const store = Buffer.alloc(4_096);
let at = store.length;

/** A whole number below a bound (at most 256), each as likely as the others: bytes beyond its last multiple are passed over. */
function chance(bound: number): number {
  for (;;) {
    if (at === store.length) {
      randomFillSync(store);
      at = 0;
    }
    const byte = store[at] ?? 0;
    // What made a password is not kept.
    store[at++] = 0;
    if (byte < 256 - (256 % bound)) return byte % bound;
  }
}

type AppFacts = Readonly<{
  id: string;
  label: string;
  kind: string;
  config: unknown;
  provisioning: Provisioning;
  attributes: readonly Attribute[] | null;
  /** Changes whenever app or schema do. */
  version: string;
}>;

type Made = Readonly<{ version: string; app: EngineApp }>;

function connectorCache(
  db: Database,
  key: Key,
  now: () => Date,
  options: Pick<ConnectorOptions, "allow_private" | "folder">,
) {
  const made = new Map<string, Made>();
  const retire = ({ app: { connector } }: Made) => {
    // Calls under way end before their lease does.
    setTimeout(() => void connector.close?.(), lease_ms).unref();
  };
  const app = async (app_id: string, version?: string): Promise<EngineApp> => {
    const known = made.get(app_id);
    if (known !== undefined && known.version === version) return known.app;
    const facts = await readFacts(db, app_id);
    if (facts === undefined) throw new ConnectorFault("denied", `There is no app ${app_id} any more`);
    const before = made.get(app_id);
    if (before?.version === facts.version) return before.app;
    const { id, label, kind, provisioning } = facts;
    const opened = { id, label, kind, provisioning, attributes: facts.attributes ?? [], connector: await make(facts) };
    made.set(id, { version: facts.version, app: opened });
    if (before) retire(before);
    return opened;
  };
  const source = async (app_id: string, file?: string): Promise<EngineApp> => {
    if (file === undefined) return app(app_id);
    const facts = await readFacts(db, app_id);
    if (facts === undefined) throw new ConnectorFault("denied", `There is no app ${app_id} any more`);
    const { id, label, kind, provisioning } = facts;
    if (kind !== "csv")
      throw new ConnectorFault("unsupported", `${label} does not read files: upload to an app of kind csv`);
    const config = { ...(facts.config as Record<string, unknown>), file };
    return {
      id,
      label,
      kind,
      provisioning,
      attributes: facts.attributes ?? [],
      connector: await make({ ...facts, config }),
    };
  };
  const make = async (facts: AppFacts): Promise<Connector> => {
    if (facts.kind === "none")
      throw new ConnectorFault("unsupported", `${facts.label} has no connector: assigning it is all there is`);
    const clear = await readCredentials(db, key, facts.id, now());
    const credentials = Object.fromEntries(Object.entries(clear).map(([name, value]) => [name, secret(String(value))]));
    const schema = facts.attributes && facts.attributes.length > 0 ? { schema: { attributes: facts.attributes } } : {};
    return createConnector(facts.kind, facts.config, credentials, { ...options, ...schema });
  };
  const close = async () => {
    await Promise.allSettled([...made.values()].map(({ app: { connector } }) => connector.close?.()));
    made.clear();
  };
  return { app, source, close };
}

async function readFacts(db: Database, app_id: string): Promise<AppFacts | undefined> {
  const { rows } = await sql<AppFacts>`
    select a.id, a.label, a.kind, a.config, a.provisioning, s.attributes, concat_ws(' ', a.updated_at, s.updated_at) as version
    from apps a left join schemas s on s.kind = 'app' and s.app_id = a.id where a.id = ${app_id}`.execute(db);
  return rows[0];
}
