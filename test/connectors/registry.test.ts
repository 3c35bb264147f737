import { describe, expect, it } from "vitest";
import { type Context, secret } from "../../src/connectors/connector.ts";
import { configJsonSchema, connectorKind, connectorKinds, createConnector } from "../../src/connectors/registry.ts";

const ctx: Context = { signal: new AbortController().signal, log: () => undefined, now: () => new Date() };
const token = { token: secret("t0ken") };
const scim = { base_url: "https://app.example.com/scim/v2" };

describe("the registry", () => {
  it("makes each kind of connector from its configuration", () => {
    expect(createConnector("scim", scim, token).kind).toBe("scim");
    expect(createConnector("csv", { file: "a.csv", id_column: "id" }).kind).toBe("csv");
    expect(createConnector("manual", {}).kind).toBe("manual");
    expect(connectorKind("fake")).toBeUndefined();
  });

  it("gives every kind's form as a JSON schema with a title for each field", () => {
    for (const kind of connectorKinds()) {
      const { properties } = configJsonSchema(kind) as { properties: Record<string, { title?: string }> };
      for (const [name, field] of Object.entries(properties)) expect(field.title, `${kind.kind}.${name}`).toBeTruthy();
    }
  });

  it.each<[string, string, unknown, typeof token | object, string, string | undefined]>([
    ["an unknown kind", "ftp", {}, {}, "unsupported", undefined],
    ["a base URL that is none", "scim", { base_url: "app" }, token, "invalid", "base_url"],
    ["another scheme", "scim", { base_url: "ftp://app.example.com" }, token, "invalid", "base_url"],
    ["a field that there is not", "scim", { ...scim, basurl: "x" }, token, "invalid", ""],
    ["an unknown profile", "scim", { ...scim, profile: "acme" }, token, "invalid", "profile"],
    ["an unknown profile setting", "scim", { ...scim, overrides: { usr: {} } }, token, "invalid", "overrides"],
    [
      "a wrong profile setting",
      "scim",
      { ...scim, overrides: { paging: { size: 0 } } },
      token,
      "invalid",
      "overrides.paging.size",
    ],
    ["no token", "scim", scim, {}, "denied", "token"],
    ["a token with a line end", "scim", scim, { token: secret("a\r\nb") }, "invalid", "token"],
    ["a metadata address", "scim", { base_url: "http://169.254.169.254" }, token, "denied", undefined],
    ["a private address", "scim", { base_url: "http://10.0.0.1/scim" }, token, "denied", undefined],
  ])("refuses %s, and says where", (_name, kind, config, credentials, fault, attribute) => {
    expect(() => createConnector(kind, config, credentials as typeof token)).toThrow(
      expect.objectContaining({ kind: fault, attribute }),
    );
  });

  it("lets the operator, and not the app's configuration, open private addresses", () => {
    expect(() =>
      createConnector("scim", { base_url: "http://10.0.0.1/scim" }, token, { allow_private: true }),
    ).not.toThrow();
    expect(() => createConnector("scim", { base_url: "http://10.0.0.1/scim", allow_private: true }, token)).toThrow();
  });
});

describe("an app without a connection", () => {
  it("makes a task of every write, and knows of nothing", async () => {
    const connector = createConnector("manual", {});
    expect(await connector.create(ctx, { profile: {}, enabled: true, key: "k1" })).toEqual({ id: "k1", pending: true });
    expect(await connector.update(ctx, "k1", { set: {} })).toEqual({ id: "k1", pending: true });
    expect(await connector.delete(ctx, "k1")).toEqual({ pending: true });
    expect(await connector.read(ctx, "k1")).toBeNull();
    expect(await connector.list(ctx, {})).toEqual({ items: [], complete: false });
  });
});
