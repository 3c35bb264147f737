/**
 * What every connector that writes must do, told as promises and run against a real system. An adapter starts the
 * system and says in `quirks` where it honestly differs; nothing else is excused.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Connector,
  ConnectorFault,
  type Context,
  type ExternalId,
  type RemoteAccount,
  secret,
} from "../../src/connectors/connector.ts";
import type { FaultKind, Profile } from "../../src/core/types.ts";

export type Quirks = Readonly<{
  /** The system takes two accounts with one user name. */
  duplicates?: boolean;
  /** Whatever it is asked for, it searches by the e-mail address. */
  finds_by_mail?: boolean;
  /** A search by user name with other capitals finds nothing. */
  exact_search?: boolean;
  /** The list cannot be read to its end, and must then say so. */
  list_cut?: boolean;
  /** Attributes that it answers as done and loses: noticed as a fault. */
  loses?: readonly string[];
  /** Attributes that it refuses. */
  refuses?: readonly string[];
  /** Attributes that it answers as cleared and keeps: noticed as a fault. */
  keeps?: readonly string[];
  no_password?: boolean;
  /** Members are never shown. `lost`: adding one is answered as done, and noticed as a fault. */
  members?: "hidden" | "lost";
  /** It takes the id of nobody as a member. */
  any_member?: boolean;
}>;

/** `stranger`: the same system with a wrong credential. `memberships`: another view of a group's members, if any. */
export type Running = Readonly<{
  connector: Connector;
  stranger: Connector;
  memberships?: (group: ExternalId) => Promise<readonly ExternalId[]>;
  stop(): Promise<void>;
}>;

export type Adapter = Readonly<{ name: string; quirks: Quirks; start(): Promise<Running> }>;

const call_ms = 30_000;
const crowd = 250;
const nobody = "0b9d3f5c-0000-4000-8000-000000000000";

export function context(ms = call_ms): Context {
  return { signal: AbortSignal.timeout(ms), log: () => undefined, now: () => new Date() };
}

/** The fault that a call fails with; fails the test if the call succeeds. */
export async function fault(call: Promise<unknown>): Promise<ConnectorFault> {
  const outcome = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("value" in outcome) throw new Error(`A fault was due, but this came: ${JSON.stringify(outcome.value)}`);
  expect(outcome.error).toBeInstanceOf(ConnectorFault);
  return outcome.error as ConnectorFault;
}

export async function faultKind(call: Promise<unknown>): Promise<FaultKind> {
  return (await fault(call)).kind;
}

/** A person's account in every attribute that all systems know. `name` is unique in the test. */
export function person(name: string): Profile {
  return {
    userName: `${name}@example.com`,
    givenName: "Zoë",
    familyName: `O'Brien-${name}`,
    displayName: `Zoë ${name}`,
    // Plain and lower case: several systems fold addresses, and refuse letters beyond ASCII in them.
    email: `${name.toLowerCase().replace(/[^a-z0-9-]/g, "x")}@example.com`,
  };
}

async function everyone(connector: Connector): Promise<{ accounts: RemoteAccount[]; complete: boolean }> {
  const accounts: RemoteAccount[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 500; pages++) {
    const page = await connector.list(context(), cursor === undefined ? {} : { cursor });
    accounts.push(...page.items);
    if (page.next === undefined) return { accounts, complete: page.complete === true };
    cursor = page.next;
  }
  throw new Error("The list does not end");
}

/** Registers the whole suite for one system. */
export function contract(adapter: Adapter): void {
  describe(adapter.name, () => {
    let running: Running;
    beforeAll(async () => {
      running = await adapter.start();
    });
    afterAll(async () => {
      await running.connector.close?.();
      await running.stranger.close?.();
      await running.stop();
    });
    const make = async (name: string) => {
      const made = await running.connector.create(context(), {
        profile: person(name),
        enabled: true,
        key: `key-${name}`,
      });
      return { id: made.id, was: made.account ?? (await running.connector.read(context(), made.id))! };
    };
    connection(() => running);
    looking(() => running, adapter.quirks, make);
    together(() => running, adapter.quirks);
    life(() => running, adapter.quirks, make);
    attributes(() => running, adapter.quirks, make);
    list(() => running, adapter.quirks, make);
    groups(() => running, adapter.quirks, make);
  });
}

type Make = (name: string) => Promise<{ id: ExternalId; was: RemoteAccount }>;
type Get = () => Running;

function connection(get: Get): void {
  it("accepts a right credential and tells a wrong one apart", async () => {
    await get().connector.test(context());
    expect(await faultKind(get().stranger.test(context()))).toBe("denied");
  });

  it("tells the attributes that accounts have", async () => {
    const { attributes } = await get().connector.schema(context());
    const names = attributes.map((one) => one.name);
    expect(names).toEqual(expect.arrayContaining(["userName", "givenName", "familyName", "email"]));
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(names.length);
  });

  it("gives up at the deadline, and says so as something to try again", async () => {
    const gone = { ...context(), signal: AbortSignal.abort() };
    expect(await faultKind(get().connector.read(gone, nobody))).toBe("retry");
    const started = Date.now();
    await get()
      .connector.list(context(5), {})
      .catch((error: ConnectorFault) => expect(error.kind).toBe("retry"));
    expect(Date.now() - started).toBeLessThan(2_000);
  });
}

function looking(get: Get, quirks: Quirks, make: Make): void {
  it("creates an account that can be read and found, with every letter as it was", async () => {
    const { connector } = get();
    const made = await connector.create(context(), { profile: person("anna-ß-李"), enabled: true, key: "key-1" });
    const read = await connector.read(context(), made.id);
    expect(read).toMatchObject({ id: made.id, enabled: true, profile: person("anna-ß-李") });
    const found = await connector.find(context(), { attribute: "userName", value: "anna-ß-李@example.com" });
    expect(found.map((one) => one.id)).toEqual(quirks.finds_by_mail ? [] : [made.id]);
  });

  it("finds an account by its user name, and by the key that it was made with", async () => {
    const { connector } = get();
    const { id } = await make("berta");
    const found = await connector.find(context(), { attribute: "userName", value: "berta@example.com" });
    expect(found.map((one) => one.id)).toEqual([id]);
    if (quirks.finds_by_mail) return;
    const by_key = await connector.find(context(), { attribute: "externalId", value: "key-berta" });
    expect(by_key.map((one) => one.id)).toEqual([id]);
  });

  it("finds nobody where there is nobody, also by a name that is no plain word", async () => {
    for (const value of ["nobody@example.com", 'x" or userName pr or userName eq "', "a\\b", "ü + &=%"]) {
      expect(await get().connector.find(context(), { attribute: "userName", value })).toEqual([]);
    }
  });

  it.skipIf(quirks.exact_search)("finds an account whatever the capitals", async () => {
    const { id } = await make("capitals");
    const found = await get().connector.find(context(), { attribute: "userName", value: "CAPITALS@Example.com" });
    expect(found.map((one) => one.id)).toEqual([id]);
  });
}

function together(get: Get, quirks: Quirks): void {
  it("finds and makes many at once as it does one at a time", async () => {
    const { connector } = get();
    const rounds = ["one", "two", "three"].map((round) => Array.from({ length: 30 }, (_, n) => `${round}-${n}`));
    const find = (ctx: Context, names: readonly string[]) =>
      Promise.all(
        names.map(async (name) => {
          const found = await connector.find(ctx, { attribute: "userName", value: person(name)["userName"] as string });
          return found.map(({ id }) => id);
        }),
      );
    const made = new Map<string, ExternalId>();
    for (const names of rounds) {
      const ctx = context();
      expect(await find(ctx, [...made.keys(), ...names])).toEqual([
        ...[...made.values()].map((id) => (quirks.finds_by_mail ? expect.anything() : [id])),
        ...names.map(() => []),
      ]);
      const all = names.map((name) =>
        connector.create(ctx, { profile: person(name), enabled: true, key: `k-${name}` }),
      );
      for (const [n, { id, account }] of (await Promise.all(all)).entries()) {
        const name = names[n] as string;
        made.set(name, id);
        expect(account ?? (await connector.read(context(), id))).toMatchObject({ id, profile: person(name) });
      }
    }
    expect(new Set(made.values()).size).toBe(90);
  });

  it.skipIf(quirks.duplicates)("answers whoever is there already as a conflict, and makes the others", async () => {
    const { connector } = get();
    const ctx = context();
    const make = (name: string) => connector.create(ctx, { profile: person(name), enabled: true, key: `k-${name}` });
    await Promise.all(["there-1", "there-2"].map(make));
    const ends = await Promise.allSettled(["new-1", "there-1", "new-2", "there-2", "new-3"].map(make));
    expect(ends.map((end) => (end.status === "fulfilled" ? "made" : (end.reason as ConnectorFault).kind))).toEqual([
      "made",
      "conflict",
      "made",
      "conflict",
      "made",
    ]);
  });
}

function life(get: Get, quirks: Quirks, make: Make): void {
  it("creates an account disabled if it is to be", async () => {
    const { connector } = get();
    const made = await connector.create(context(), { profile: person("off"), enabled: false, key: "key-off" });
    expect((await connector.read(context(), made.id))?.enabled).toBe(false);
  });

  it.skipIf(quirks.duplicates)("answers a second account of one name as a conflict", async () => {
    await make("twice");
    expect(await faultKind(make("twice"))).toBe("conflict");
    expect(await get().connector.find(context(), { attribute: "userName", value: "twice@example.com" })).toHaveLength(
      1,
    );
  });

  it("disables and enables an account under the same id, and keeps what it holds", async () => {
    const { connector } = get();
    const { id, was } = await make("leaver");
    const off = await connector.update(context(), id, { set: {}, enabled: false, was });
    expect(off.id).toBe(id);
    expect(await connector.read(context(), id)).toMatchObject({ enabled: false, profile: person("leaver") });
    const found = await connector.find(context(), { attribute: "userName", value: "leaver@example.com" });
    expect(found.map((one) => one.id)).toEqual([id]);
    await connector.update(context(), id, { set: {}, enabled: true, was: { ...was, enabled: false } });
    expect(await connector.read(context(), id)).toMatchObject({ enabled: true, profile: person("leaver") });
  });

  it("deletes an account, again if need be, and then knows nothing of it", async () => {
    const { connector } = get();
    const { id } = await make("gone");
    await connector.delete(context(), id);
    await connector.delete(context(), id);
    expect(await connector.read(context(), id)).toBeNull();
    expect(await connector.find(context(), { attribute: "userName", value: "gone@example.com" })).toEqual([]);
    expect(await faultKind(connector.update(context(), id, { set: { title: "Ghost" } }))).toBe("not_found");
  });

  it("makes a name that was deleted again", async () => {
    const { id } = await make("again");
    await get().connector.delete(context(), id);
    expect((await make("again")).id).not.toBe(id);
  });

  it.skipIf(quirks.no_password)("sends a password and never shows it", async () => {
    const { connector } = get();
    const { id, was } = await make("password");
    const lines: string[] = [];
    const ctx = { ...context(), log: (line: unknown) => lines.push(JSON.stringify(line)) };
    const written = await connector.update(ctx, id, { set: {}, password: secret("Sesame-4711-open"), was });
    expect(JSON.stringify([written, lines])).not.toContain("Sesame");
  });
}

const changes: readonly (readonly [string, Profile])[] = [
  ["a plain attribute", { title: "Köchin 🧑‍🍳" }],
  ["a part of the name", { givenName: "Chloé" }],
  ["the e-mail address", { email: "other.address@example.com" }],
  ["a number that was not there", { phoneNumber: "+49 30 1234" }],
  ["the parts of an address", { streetAddress: "Weg 1", locality: "Köln", country: "DE" }],
  ["an attribute of the enterprise extension", { department: "Küche" }],
  ["the manager", { manager: "4711" }],
  ["several attributes at once", { title: "Chef", givenName: "Ana", phoneNumber: "+49 30 9999" }],
];

function attributes(get: Get, quirks: Quirks, make: Make): void {
  it.each(changes)("changes %s and nothing else", async (_name, set) => {
    const { connector } = get();
    const { id, was } = await make(`change-${Object.keys(set).join("-")}`);
    const lost = Object.keys(set).find((name) => quirks.loses?.includes(name));
    if (lost !== undefined) {
      const noticed = await fault(connector.update(context(), id, { set, was }));
      expect(noticed).toMatchObject({ kind: "invalid", attribute: lost });
      expect(noticed.message).toContain(lost);
      return;
    }
    await connector.update(context(), id, { set, was });
    const after = await connector.read(context(), id);
    expect(after?.profile).toMatchObject({ ...person(`change-${Object.keys(set).join("-")}`), ...set });
    expect(after?.enabled).toBe(true);
  });

  it.each(["title", "phoneNumber", "givenName", "displayName"])("clears %s", async (name) => {
    const { connector } = get();
    const { id, was } = await make(`clear-${name}`);
    const filled = await connector.update(context(), id, { set: { [name]: "Something" }, was });
    const clearing = connector.update(context(), id, { set: { [name]: null }, was: filled.account ?? was });
    if (quirks.keeps?.includes(name)) {
      expect(await fault(clearing)).toMatchObject({ kind: "invalid", attribute: name });
      return;
    }
    await clearing;
    expect((await connector.read(context(), id))?.profile[name] ?? null).toBeNull();
  });

  it("changes an attribute and disables in one call", async () => {
    const { connector } = get();
    const { id, was } = await make("both");
    await connector.update(context(), id, { set: { title: "Former" }, enabled: false, was });
    expect(await connector.read(context(), id)).toMatchObject({ enabled: false, profile: { title: "Former" } });
  });

  it("changes an account of which nothing is known", async () => {
    const { connector } = get();
    const { id } = await make("blind");
    await connector.update(context(), id, { set: { phoneNumber: "1", email: "blind2@example.com" } });
    expect((await connector.read(context(), id))?.profile).toMatchObject({
      phoneNumber: "1",
      email: "blind2@example.com",
    });
  });

  it("changes what it wrongly believes to be there", async () => {
    const { connector } = get();
    const { id, was } = await make("mistaken");
    const believed = { ...was, profile: { ...was.profile, phoneNumber: "1" } };
    await connector.update(context(), id, { set: { phoneNumber: "2" }, was: believed });
    expect((await connector.read(context(), id))?.profile["phoneNumber"]).toBe("2");
  });

  it("refuses an attribute that the app has not got, by name", async () => {
    const { id, was } = await make("unknown");
    for (const name of ["shoeSize", ...(quirks.refuses ?? [])]) {
      const refused = await fault(get().connector.update(context(), id, { set: { [name]: "42" }, was }));
      expect(refused).toMatchObject({ kind: "invalid", attribute: name });
    }
  });
}

function list(get: Get, quirks: Quirks, make: Make): void {
  it(`lists ${crowd} accounts to the end, each once, or says that it cannot`, async () => {
    const made: ExternalId[] = [];
    for (let from = 0; from < crowd; from += 10) {
      const names = Array.from({ length: 10 }, (_, index) => `crowd-${from + index}`);
      made.push(...(await Promise.all(names.map(async (name) => (await make(name)).id))));
    }
    const { accounts, complete } = await everyone(get().connector);
    const ids = new Set(accounts.map((one) => one.id));
    expect(ids.size).toBe(accounts.length);
    expect(complete).toBe(quirks.list_cut !== true);
    if (complete) expect(made.filter((id) => !ids.has(id))).toEqual([]);
  });
}

function groups(get: Get, quirks: Quirks, make: Make): void {
  const ops = () => get().connector.groups!;

  it("makes, finds, renames and deletes a group", async () => {
    const made = await ops().create(context(), { name: "Küche & Keller", key: "group-1" });
    expect((await ops().find(context(), "Küche & Keller")).map((one) => one.id)).toEqual([made.id]);
    await ops().rename(context(), made.id, { name: "Küche" });
    expect(await ops().find(context(), "Küche & Keller")).toEqual([]);
    expect(await ops().read(context(), made.id)).toMatchObject({ name: "Küche" });
    const page = await ops().list(context(), {});
    expect(page.items.map((one) => one.name)).toContain("Küche");
    await ops().delete(context(), made.id);
    await ops().delete(context(), made.id);
    expect(await ops().read(context(), made.id)).toBeNull();
  });

  it("answers a second group of one name as a conflict", async () => {
    await ops().create(context(), { name: "Only one", key: "group-2" });
    expect(await faultKind(ops().create(context(), { name: "Only one", key: "group-3" }))).toBe("conflict");
  });

  it("puts 130 members in and takes some out, in requests of the size that the app takes", async () => {
    const names = Array.from({ length: 130 }, (_, index) => `member-${index}`);
    const members: ExternalId[] = [];
    for (const name of names) members.push((await make(name)).id);
    const group = await ops().create(context(), { name: "Crowd", key: "group-4" });
    const size = ops().members_max;
    const faults: unknown[] = [];
    for (let from = 0; from < members.length; from += size) {
      const add = members.slice(from, from + size);
      faults.push(...(await ops().change(context(), group.id, { add, remove: [] })).filter((one) => one.fault));
    }
    if (quirks.members === "lost") {
      expect(faults.length).toBeGreaterThan(0);
      return;
    }
    expect(faults).toEqual([]);
    await ops().change(context(), group.id, { add: [], remove: members.slice(0, 5) });
    const again = await ops().change(context(), group.id, { add: members.slice(5, 7), remove: members.slice(0, 1) });
    expect(again.filter((one) => one.fault)).toEqual([]);
    const told =
      quirks.members === "hidden" ? await get().memberships!(group.id) : await ops().members(context(), group.id);
    if (quirks.members === "hidden") expect(await ops().members(context(), group.id)).toBeNull();
    expect([...told!].sort()).toEqual(members.slice(5).sort());
  }, 120_000);

  it.skipIf(quirks.any_member)("tells which member is refused and puts the others in", async () => {
    const some = [(await make("good-1")).id, (await make("good-2")).id];
    const group = await ops().create(context(), { name: "Mixed", key: "group-5" });
    const results = await ops().change(context(), group.id, { add: [some[0]!, nobody, some[1]!], remove: [] });
    expect(results.filter((one) => one.fault !== undefined).map((one) => one.id)).toEqual([nobody]);
    expect([...(await ops().members(context(), group.id))!].sort()).toEqual(some.sort());
  });

  it("answers a change of a group that is gone as not found", async () => {
    const { id } = await make("lonely");
    expect(await faultKind(ops().change(context(), nobody, { add: [id], remove: [] }))).toBe("not_found");
  });
}
