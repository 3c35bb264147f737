/**
 * Every kind of connector: its name for people, the form of its configuration, its secrets, and how to make one. The
 * console and the docs draw their forms from here; the engine makes its connectors here. To add a kind, see
 * docs/adding-a-connector.md.
 *
 * The fake app is not in this list: only tests put it in the engine's hands.
 */
import { z } from "zod";
import type { Schema } from "../core/types.ts";
import { type Connector, ConnectorFault, type Secret } from "./connector.ts";
import { csv_config } from "./csv/config.ts";
import { csvConnector } from "./csv/connector.ts";
import { manual_config, manualConnector } from "./manual/connector.ts";
import { push_config, pushConnector } from "./push/connector.ts";
import { scim_in_config, scimInConnector } from "./push/scimIn.ts";
import { rest_config } from "./rest/config.ts";
import { restConnector } from "./rest/connector.ts";
import { settingsOf } from "./rest/presets.ts";
import { scim_config } from "./scim/config.ts";
import { scimConnector } from "./scim/connector.ts";
import { sql_config } from "./sql/config.ts";
import { sqlConnector } from "./sql/connector.ts";

/** One secret beside the configuration: stored encrypted, entered in a field of its own, never shown again. */
export type SecretField = Readonly<{ name: string; title: string; required: boolean }>;

/** Secret's name → value, as the store decrypts them for one call. */
export type Credentials = Readonly<Record<string, Secret>>;

/**
 * What the operator of this server decides, not who configures an app, beside the app's schema as it now is.
 * `allow_private`: apps may be on private and loopback addresses. `folder`: where CSV files are read from.
 */
export type ConnectorOptions = Readonly<{ allow_private?: boolean; folder?: string; schema?: Schema }>;

export type ConnectorKind = Readonly<{
  kind: string;
  title: string;
  description: string;
  config: z.ZodObject;
  secrets: readonly SecretField[];
  /** `config` has been parsed by the schema above. */
  create(config: unknown, credentials: Credentials, options: ConnectorOptions): Connector;
}>;

function secretOf(credentials: Credentials, name: string): Secret {
  const found = Object.hasOwn(credentials, name) ? credentials[name] : undefined;
  if (found !== undefined) return found;
  throw new ConnectorFault("denied", `The app's secret "${name}" has not been entered`, { attribute: name });
}

const kinds: readonly ConnectorKind[] = [
  {
    kind: "scim",
    title: "SCIM 2.0",
    description: "Any app with a SCIM 2.0 interface: accounts and groups, both ways",
    config: scim_config,
    secrets: [{ name: "token", title: "Token, password or client secret", required: true }],
    create: (config, credentials, options) =>
      scimConnector(scim_config.parse(config), { token: secretOf(credentials, "token") }, options),
  },
  {
    kind: "csv",
    title: "CSV file",
    description: "People from a file in the server's import folder",
    config: csv_config,
    secrets: [],
    create: (config, _credentials, options) => csvConnector(csv_config.parse(config), options),
  },
  {
    kind: "rest",
    title: "JSON over HTTP",
    description: "People from a report or a paged list of any system that answers JSON",
    config: rest_config,
    secrets: [{ name: "token", title: "Token, password or client secret", required: false }],
    create: (config, credentials, options) => {
      const form = rest_config.parse(config);
      const token = Object.hasOwn(credentials, "token") ? { token: secretOf(credentials, "token") } : {};
      return {
        ...restConnector(form, token, options),
        ...(settingsOf(form).one === undefined ? { lists_only: true } : {}),
      };
    },
  },
  {
    kind: "sql",
    title: "SQL database",
    description: "People by a query of a PostgreSQL or MariaDB database",
    config: sql_config,
    secrets: [{ name: "token", title: "Password", required: true }],
    create: (config, credentials, options) => ({
      ...sqlConnector(sql_config.parse(config), { token: secretOf(credentials, "token") }, options),
      lists_only: true,
    }),
  },
  {
    kind: "manual",
    title: "By hand",
    description: "An app without a connection: every change becomes an administrator's task",
    config: manual_config,
    secrets: [],
    create: () => manualConnector(),
  },
  {
    kind: "push",
    title: "Identity source",
    description: "People that a program sends by itself, over the Identity Sources API",
    config: push_config,
    secrets: [],
    create: () => pushConnector(),
  },
  {
    kind: "scim_in",
    title: "SCIM 2.0 inbound",
    description: "People and groups that another system pushes to /scim/v2 here",
    config: scim_in_config,
    secrets: [],
    create: () => scimInConnector(),
  },
];

/** All kinds, in the order in which they are offered. */
export function connectorKinds(): readonly ConnectorKind[] {
  return kinds;
}

/** A kind by its name; undefined if there is none. */
export function connectorKind(kind: string): ConnectorKind | undefined {
  return kinds.find((one) => one.kind === kind);
}

/** The JSON schema of a kind's configuration as it is entered (defaults not yet filled in). */
export function configJsonSchema(kind: ConnectorKind): Record<string, unknown> {
  return z.toJSONSchema(kind.config, { io: "input", unrepresentable: "any" }) as Record<string, unknown>;
}

/**
 * Makes an app's connector. Throws a ConnectorFault: `unsupported` for an unknown kind, `invalid` naming the field that
 * does not fit, `denied` for a secret that is missing or an address that may not be used.
 */
export function createConnector(
  kind: string,
  config: unknown,
  credentials: Credentials = {},
  options: ConnectorOptions = {},
): Connector {
  const found = connectorKind(kind);
  if (found === undefined) throw new ConnectorFault("unsupported", `There is no kind of connector called "${kind}"`);
  const parsed = found.config.safeParse(config);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const place = issue?.path.join(".") ?? "";
    throw new ConnectorFault(
      "invalid",
      `The configuration of the app is wrong at "${place}": ${issue?.message ?? "unknown"}`,
      {
        attribute: place,
      },
    );
  }
  return found.create(config, credentials, options);
}
