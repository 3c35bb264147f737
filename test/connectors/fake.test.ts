import { describe, expect, it } from "vitest";
import { ConnectorFault, type Context, secret } from "../../src/connectors/connector.ts";
import { type FakeFaultKind, type FakeOp, fakeApp } from "../../src/connectors/fake/connector.ts";

const now = () => new Date("2026-11-23T12:00:00Z");
const ctx: Context = { signal: new AbortController().signal, log: () => undefined, now };

/** An app where the calls named in `plan` fail as it says, each once. */
function app(plan: Partial<Record<FakeOp, FakeFaultKind>> = {}) {
  const left = new Map(Object.entries(plan));
  return fakeApp({
    now,
    script({ op }) {
      const kind = left.get(op);
      left.delete(op);
      return kind === undefined ? undefined : { kind };
    },
  });
}

const ann = { userName: "Ann@x", email: "Ann@X", title: "Cook", department: "Kitchen" };
const hire = (fake: ReturnType<typeof app>) => fake.connector.create(ctx, { profile: ann, enabled: true, key: "k" });

async function kind(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "none",
    (error: ConnectorFault) => error.kind,
  );
}

const strikes: [FakeFaultKind, string, number][] = [
  ["refuse_before", "retry", 0],
  ["lose_reply_after_effect", "retry", 1],
  ["rate_limit", "rate_limited", 0],
  ["slow", "retry", 0],
  ["conflict", "conflict", 0],
  ["denied", "denied", 0],
  ["normalise", "none", 1],
];

describe("the fake app", () => {
  it.each(strikes)("struck by %s answers a create by %s and holds %i accounts", async (struck, answered, count) => {
    const fake = app({ create: struck });
    expect(await kind(hire(fake))).toBe(answered);
    expect(fake.accounts.size).toBe(count);
    expect(fake.fired[struck]).toBe(1);
    expect(fake.calls).toMatchObject([{ n: 1, op: "create", fault: struck }]);
  });

  it("delivers a slow write when it is told to", async () => {
    const fake = app({ create: "slow" });
    await kind(hire(fake));
    expect([fake.late(), fake.accounts.size]).toEqual([1, 0]);
    expect([fake.deliverLate(), fake.accounts.size, fake.late()]).toEqual([1, 1, 0]);
  });

  it("refuses a slow write whose time has passed", async () => {
    const fake = app({ create: "slow" });
    await kind(hire(fake));
    await hire(fake);
    expect([fake.deliverLate(), fake.accounts.size]).toEqual([0, 1]);
  });

  it("writes half of an update that is torn", async () => {
    const fake = app({ update: "partial_write" });
    const { id } = await hire(fake);
    const set = { department: "Cellar", title: "Chef" };
    expect(await kind(fake.connector.update(ctx, id, { set, enabled: false }))).toBe("retry");
    expect(fake.accounts.get(id)).toMatchObject({ enabled: true, profile: { department: "Cellar", title: "Cook" } });
  });

  it("shows the state before the last write to a read that lags, once", async () => {
    const fake = app({ read: "stale_read" });
    const { id } = await hire(fake);
    expect(await fake.connector.read(ctx, id)).toBeNull();
    expect(await fake.connector.read(ctx, id)).not.toBeNull();
  });

  it("folds what its schema does not tell apart, when it normalises", async () => {
    const fake = app({ create: "normalise" });
    const { account } = await hire(fake);
    expect(account?.profile).toMatchObject({ userName: "ann@x", email: "ann@x", title: "Cook" });
  });

  it.each(["looping_page", "duplicate_page"] as const)(
    "with %s ends its list and does not vouch for it",
    async (struck) => {
      const fake = app({ list: struck });
      for (let n = 0; n < 5; n++) fake.put({ profile: { userName: `u${n}` }, enabled: true });
      const seen = new Set<string>();
      let cursor: string | undefined;
      let complete: boolean | undefined;
      do {
        const page = await fake.connector.list(ctx, { limit: 2, ...(cursor === undefined ? {} : { cursor }) });
        for (const { id } of page.items) seen.add(id);
        ({ next: cursor, complete } = page);
      } while (cursor !== undefined);
      expect(complete).toBe(false);
      expect(fake.fired[struck]).toBe(1);
    },
  );

  it("does not count a fault that cannot befall the call", async () => {
    const fake = app({ read: "partial_write" });
    await fake.connector.read(ctx, "a1");
    expect(fake.fired.partial_write).toBe(0);
  });

  it("keeps user names unique without case, unless it is told not to", async () => {
    const fake = app();
    await hire(fake);
    const again = { profile: { userName: "ANN@x" }, enabled: true, key: "k" };
    expect(await kind(fake.connector.create(ctx, again))).toBe("conflict");
    const lax = fakeApp({ now, unique: false });
    await hire(lax);
    expect(await kind(lax.connector.create(ctx, again))).toBe("none");
  });

  it("keeps the laws of a connector: gone is null, deleting twice is fine, an abort is a retry", async () => {
    const fake = app();
    const { id } = await hire(fake);
    await fake.connector.delete(ctx, id);
    await fake.connector.delete(ctx, id);
    expect(await fake.connector.read(ctx, id)).toBeNull();
    expect(await kind(fake.connector.update(ctx, id, { set: {} }))).toBe("not_found");
    expect(await kind(fake.connector.read({ ...ctx, signal: AbortSignal.abort() }, id))).toBe("retry");
    expect(await kind(fake.connector.create(ctx, { profile: { shoe: "42" }, enabled: true, key: "k" }))).toBe(
      "invalid",
    );
  });

  it("lists what changed since a token, and who is gone", async () => {
    const fake = fakeApp({ now, capabilities: { changes: true } });
    const first = fake.put({ profile: { userName: "a" }, enabled: true });
    const { since } = await fake.connector.list(ctx, {});
    const second = fake.put({ profile: { userName: "b" }, enabled: true });
    fake.remove(first);
    const page = await fake.connector.list(ctx, { since: since! });
    expect(page).toMatchObject({ items: [{ id: second }], gone: [first] });
  });

  it("has groups whose members come, go, and leave with their account", async () => {
    const fake = app();
    const { id } = await hire(fake);
    const groups = fake.connector.groups!;
    const group = await groups.create(ctx, { name: "Kitchen", key: "g" });
    expect(await kind(groups.create(ctx, { name: "kitchen", key: "g" }))).toBe("conflict");
    const results = await groups.change(ctx, group.id, { add: [id, "nobody"], remove: [] });
    expect(results).toMatchObject([{ id }, { id: "nobody", fault: "not_found" }]);
    expect(await groups.members(ctx, group.id)).toEqual([id]);
    fake.remove(id);
    expect(await groups.members(ctx, group.id)).toEqual([]);
    const many = Array.from({ length: 101 }, (_, n) => `m${n}`);
    expect(await kind(groups.change(ctx, group.id, { add: many, remove: [] }))).toBe("invalid");
  });

  it("keeps the password that came", async () => {
    const fake = app();
    const { id } = await hire(fake);
    await fake.connector.update(ctx, id, { set: {}, password: secret("sesame") });
    expect(fake.accounts.get(id)?.password).toBe("sesame");
    expect(fake.calls.every((call) => !JSON.stringify(call).includes("sesame"))).toBe(true);
    expect(fake.accounts.get(id)).not.toBeInstanceOf(ConnectorFault);
  });
});
