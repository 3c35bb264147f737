/**
 * An app in memory with scripted faults: the other side of every simulation, and of tests that need no network. It
 * keeps the connector's laws (connector.ts) and adds nothing random: ids count up, time comes from `now`, and what
 * goes wrong is decided by `script`, call by call.
 *
 * How it differs from a real app:
 * - a call takes no time; a slow one fails at once and takes effect only when the simulation says `deliverLate()`;
 * - a read that lags shows the state before exactly the last write, and lags for one call only;
 * - a partial write is half of an update's attributes, in alphabetical order; real ones are arbitrary;
 * - uniqueness compares without case where the schema says so, and never trims or folds Unicode;
 * - passwords are kept in clear, so that a test can see which one arrived;
 * - edits made straight on `accounts` or `groups` are not seen by `since` nor by a lagging read: use `put`, `edit`
 *   and `remove` for those.
 */
import type { Capabilities, Profile, Schema } from "../../core/types.ts";
import { type Connector, ConnectorFault, type RemoteAccount } from "../connector.ts";
import {
  changedProfile,
  checkUnique,
  checkWrite,
  type FakeAccount,
  type FakeGroup,
  fake_schema,
  normalised,
  type Shelf,
  sameValue,
  shelf,
} from "./app.ts";
import { type Desk, desk, type FakeCall, type FakeFaultKind, type FakeScript, type WriteMode } from "./faults.ts";
import { fakeGroups } from "./groups.ts";
import { fakePage } from "./paging.ts";

export type { FakeAccount, FakeGroup } from "./app.ts";
export type { FakeCall, FakeFault, FakeFaultKind, FakeOp, FakeScript } from "./faults.ts";

export type FakeOptions = Readonly<{
  schema?: Schema;
  capabilities?: Partial<Capabilities>;
  script?: FakeScript;
  now: () => Date;
  /** false: the app takes two accounts with one userName, as some do. */
  unique?: boolean;
  members_readable?: boolean;
  /** false: a write answers with the id only. */
  echoes?: boolean;
}>;

export type FakeApp = Readonly<{
  connector: Connector;
  accounts: Map<string, FakeAccount>;
  groups: Map<string, FakeGroup>;
  /** Every call that reached the app, oldest first. */
  calls: readonly FakeCall[];
  /** How often each kind of fault really struck. */
  fired: Readonly<Record<FakeFaultKind, number>>;
  /** Carries out writes of slow calls, oldest first; gives how many took effect. */
  deliverLate(count?: number): number;
  /** Slow writes not yet delivered. */
  late(): number;
  /** Someone makes an account in the app itself; gives its id. */
  put(account: FakeAccount): string;
  /** Someone changes an account in the app itself. */
  edit(id: string, change: Readonly<{ set?: Profile; enabled?: boolean }>): void;
  /** Someone removes an account in the app itself. */
  remove(id: string): void;
}>;

const all_capabilities: Capabilities = {
  create: true,
  update: true,
  disable: true,
  delete: true,
  password: true,
  groups: true,
  changes: false,
  writes_max: 100,
};

function shown(id: string, account: FakeAccount): RemoteAccount {
  return { id, profile: account.profile, enabled: account.enabled };
}

function need(can: Capabilities, what: "create" | "update" | "disable" | "delete" | "password"): void {
  if (!can[what]) throw new ConnectorFault("unsupported", `The app has no way to ${what}`, { status: "501" });
}

/** The half of a change that a write torn in the middle leaves behind. */
function half(set: Profile): Profile {
  const names = Object.keys(set).sort();
  return Object.fromEntries(names.slice(0, Math.ceil(names.length / 2)).map((name) => [name, set[name]!]));
}

type Parts = Readonly<{
  accounts: Shelf<FakeAccount>;
  desk: Desk;
  can: Capabilities;
  schema: Schema;
  options: FakeOptions;
  nextId: (prefix: string) => string;
  put(id: string, account: FakeAccount | null): void;
}>;

/** The reading half of the connector. */
function reads({ accounts, desk, can, schema }: Parts) {
  const rows = (stale: boolean) => (stale ? accounts.lagging() : accounts.rows);
  return {
    test: (ctx) => desk.look(ctx, "test", null, () => undefined),
    schema: (ctx) => desk.look(ctx, "schema", null, () => schema),
    list: (ctx, page) => desk.look(ctx, "list", null, (mode) => fakePage(accounts, page, mode, shown, can.changes)),
    read: (ctx, id) =>
      desk.look(ctx, "read", id, ({ stale }) => {
        const row = rows(stale).get(id);
        return row === undefined ? null : shown(id, row);
      }),
    find: (ctx, key) =>
      desk.look(ctx, "find", null, ({ stale }) => {
        const by = schema.attributes.find((one) => one.name === key.attribute);
        if (by === undefined) throw new ConnectorFault("invalid", `The app has no attribute ${key.attribute}`);
        return [...rows(stale)]
          .filter(([, row]) => sameValue(by, row.profile[by.name], key.value))
          .map(([id, row]) => shown(id, row));
      }),
  } satisfies Partial<Connector>;
}

/** The writing half of the connector. */
function writes({ accounts, desk, can, schema, options, nextId, put }: Parts) {
  const unique = (id: string | null, profile: Profile) => {
    if (options.unique !== false) checkUnique(schema, accounts.rows, id, profile);
  };
  const written = (id: string) => {
    const row = accounts.rows.get(id);
    return options.echoes === false || row === undefined ? { id } : { id, account: shown(id, row) };
  };
  const accepted = (set: Profile, mode: WriteMode) => {
    const part = mode.partial ? half(set) : set;
    return mode.normalise ? normalised(schema, part) : part;
  };
  const create: Connector["create"] = (ctx, account) =>
    desk.write(ctx, "create", null, (mode) => {
      need(can, "create");
      checkWrite(schema, account.profile, true);
      unique(null, account.profile);
      const id = nextId("a");
      const password = account.password === undefined ? {} : { password: account.password.reveal() };
      put(id, { profile: changedProfile({}, accepted(account.profile, mode)), enabled: account.enabled, ...password });
      return written(id);
    });
  const update: Connector["update"] = (ctx, id, change) =>
    desk.write(ctx, "update", id, (mode) => {
      need(can, "update");
      const was = accounts.rows.get(id);
      if (was === undefined) throw new ConnectorFault("not_found", `The app has no account ${id}`, { status: "404" });
      if (change.enabled === false) need(can, "disable");
      checkWrite(schema, change.set, false);
      const profile = changedProfile(was.profile, accepted(change.set, mode));
      unique(id, profile);
      const enabled = mode.partial ? was.enabled : (change.enabled ?? was.enabled);
      const password = change.password === undefined ? {} : { password: change.password.reveal() };
      put(id, { ...was, profile, enabled, ...password });
      return written(id);
    });
  return {
    create,
    update,
    delete: (ctx, id) =>
      desk.write(ctx, "delete", id, () => {
        need(can, "delete");
        if (accounts.rows.has(id)) put(id, null);
      }),
  } satisfies Pick<Connector, "create" | "update" | "delete">;
}

/** Makes a fake app. See the head of the file for its faults and for how it differs from a real one. */
export function fakeApp(options: FakeOptions): FakeApp {
  const schema = options.schema ?? fake_schema;
  const can: Capabilities = { ...all_capabilities, ...options.capabilities };
  const accounts = shelf<FakeAccount>();
  const groups = shelf<FakeGroup>();
  const front = desk(options.script, options.now);
  const counts = new Map<string, number>();
  const nextId = (prefix: string) => {
    const next = (counts.get(prefix) ?? 0) + 1;
    counts.set(prefix, next);
    return `${prefix}${next}`;
  };
  const put = (id: string, account: FakeAccount | null) => {
    accounts.step();
    groups.step();
    accounts.put(id, account);
    if (account !== null) return;
    for (const [group_id, group] of groups.rows) {
      if (!group.members.has(id)) continue;
      groups.put(group_id, { ...group, members: new Set([...group.members].filter((member) => member !== id)) });
    }
  };
  const parts: Parts = { accounts, desk: front, can, schema, options, nextId, put };
  const connector: Connector = {
    kind: "fake",
    can,
    ...reads(parts),
    ...writes(parts),
    ...(can.groups
      ? {
          groups: fakeGroups(groups, accounts, front, {
            members_max: can.writes_max,
            members_readable: options.members_readable ?? true,
            nextId: () => nextId("g"),
          }),
        }
      : {}),
  };
  return {
    connector,
    accounts: accounts.rows,
    groups: groups.rows,
    calls: front.calls,
    fired: front.fired,
    deliverLate: front.deliverLate,
    late: front.late,
    put(account) {
      const id = nextId("a");
      put(id, account);
      return id;
    },
    edit(id, change) {
      const was = accounts.rows.get(id);
      if (was === undefined) return;
      put(id, {
        ...was,
        profile: changedProfile(was.profile, change.set ?? {}),
        enabled: change.enabled ?? was.enabled,
      });
    },
    remove: (id) => put(id, null),
  };
}
