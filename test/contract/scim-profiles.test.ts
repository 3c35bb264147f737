/**
 * Each vendor profile against a server that insists on what the profile says of the vendor: a profile whose forms,
 * limits and needs do not fit together fails here.
 */
import { describe, expect, it } from "vitest";
import type { Connector } from "../../src/connectors/connector.ts";
import { profile_ids, profiles } from "../../src/connectors/scim/profiles/index.ts";
import type { Profile } from "../../src/core/types.ts";
import { startScim } from "./scimServers.ts";
import { context, fault, faultKind, person } from "./suite.ts";

function account(name: string, vendor: string): Profile {
  const entitlements: Profile = vendor === "salesforce" ? { entitlements: ["00e000000000001"] } : {};
  return { ...person(name), ...entitlements, externalId: `key-${name}` };
}

async function create(connector: Connector, vendor: string, name: string) {
  const made = await connector.create(context(), { profile: account(name, vendor), enabled: true, key: `key-${name}` });
  return { id: made.id, was: made.account! };
}

async function accountStory(connector: Connector, vendor: string): Promise<void> {
  await connector.test(context());
  const { id, was } = await create(connector, vendor, "ann");
  const found = await connector.find(context(), { attribute: "userName", value: "ANN@example.com" });
  expect(found.map((one) => one.id)).toEqual([id]);
  expect((await connector.find(context(), { attribute: "email", value: "ann@example.com" })).length).toBe(1);
  const set = { title: "Chef", email: "ann.new@example.com", givenName: "Anna" };
  const moved = await connector.update(context(), id, { set, was });
  expect(moved.account?.profile).toMatchObject(set);
  const off = await connector.update(context(), id, { set: {}, enabled: false, was: moved.account! });
  expect(off.account).toMatchObject({ id, enabled: false });
  const on = await connector.update(context(), id, { set: { title: "Cook" }, enabled: true, was: off.account! });
  expect(on.account).toMatchObject({ id, enabled: true, profile: { title: "Cook", email: "ann.new@example.com" } });
  const cleared = await connector.update(context(), id, { set: { title: null }, was: on.account! });
  expect(cleared.account?.profile["title"]).toBeUndefined();
  if (!connector.can.delete) expect(await faultKind(connector.delete(context(), id))).toBe("unsupported");
  else {
    await connector.delete(context(), id);
    expect(await connector.read(context(), id)).toBeNull();
  }
}

async function groupStory(connector: Connector, vendor: string): Promise<void> {
  const groups = connector.groups!;
  if (!profiles[vendor as keyof typeof profiles].group.create) {
    expect(await faultKind(groups.create(context(), { name: "Kitchen", key: "g" }))).toBe("unsupported");
    return;
  }
  const made = await groups.create(context(), { name: "Kitchen", key: "g" });
  expect((await groups.find(context(), "Kitchen")).map((one) => one.id)).toEqual([made.id]);
  const members: string[] = [];
  for (let index = 0; index < 3; index++) members.push((await create(connector, vendor, `member-${index}`)).id);
  await groups.change(context(), made.id, { add: members, remove: [] });
  const results = await groups.change(context(), made.id, { add: [], remove: members.slice(0, 1) });
  expect(results.filter((one) => one.fault)).toEqual([]);
  const told = await groups.members(context(), made.id);
  expect(told === null ? null : [...told]).toEqual(connector.can.groups && told !== null ? members.slice(1) : null);
  await groups.rename(context(), made.id, { name: "Cellar" });
  expect(await groups.read(context(), made.id)).toMatchObject({ name: "Cellar" });
  const many = Array.from({ length: groups.members_max + 1 }, (_, index) => `x${index}`);
  expect(await faultKind(groups.change(context(), made.id, { add: many, remove: [] }))).toBe("invalid");
}

describe.each(profile_ids)("the profile %s", (vendor) => {
  it("carries an account from hire to leave, and a group, in the vendor's own forms", async () => {
    const running = await startScim("quirks", { args: ["--profile", vendor], config: { profile: vendor } });
    try {
      await accountStory(running.connector, vendor);
      await groupStory(running.connector, vendor);
    } finally {
      await running.connector.close?.();
      await running.stranger.close?.();
      await running.stop();
    }
  });

  it("lists every account over its kind of pages", async () => {
    const running = await startScim("quirks", { args: ["--profile", vendor], config: { profile: vendor } });
    try {
      for (let index = 0; index < 23; index++) await create(running.connector, vendor, `list-${index}`);
      const seen: string[] = [];
      let cursor: string | undefined;
      let complete: boolean | undefined;
      do {
        const page = await running.connector.list(context(), { limit: 5, ...(cursor === undefined ? {} : { cursor }) });
        seen.push(...page.items.map((one) => one.id));
        cursor = page.next;
        complete = page.complete;
      } while (cursor !== undefined);
      expect(complete).toBe(true);
      expect(new Set(seen).size).toBe(23);
      expect(seen).toHaveLength(23);
    } finally {
      await running.connector.close?.();
      await running.stranger.close?.();
      await running.stop();
    }
  });
});

describe("Salesforce", () => {
  it("is not looked through for a duplicate when it says 409 for a missing entitlement", async () => {
    const overrides = { user: { required: ["userName"] } };
    const running = await startScim("quirks", {
      args: ["--profile", "salesforce"],
      config: { profile: "salesforce", overrides },
    });
    try {
      const refused = await fault(
        running.connector.create(context(), { profile: person("ann"), enabled: true, key: "k" }),
      );
      expect(refused).toMatchObject({ kind: "invalid", attribute: "entitlements", status: "409" });
    } finally {
      await running.connector.close?.();
      await running.stranger.close?.();
      await running.stop();
    }
  });

  it("names the attribute that it needs before anything is sent", async () => {
    const running = await startScim("quirks", { args: ["--profile", "salesforce"], config: { profile: "salesforce" } });
    try {
      const refused = await fault(
        running.connector.create(context(), { profile: person("ann"), enabled: true, key: "k" }),
      );
      expect(refused).toMatchObject({ kind: "invalid", attribute: "entitlements" });
      expect(refused.message).toMatch(/is needed by Salesforce/);
    } finally {
      await running.connector.close?.();
      await running.stranger.close?.();
      await running.stop();
    }
  });
});
