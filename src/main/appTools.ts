/**
 * What connectors know about their own configuration, handed to the directory's commands on apps, which may not import
 * connectors: which fields are secret, whether the rest fits, what the app can do, and where the credentials will go.
 */
import { secret } from "../connectors/connector.ts";
import { push_attributes } from "../connectors/push/connector.ts";
import { scim_in_attributes } from "../connectors/push/scimIn.ts";
import { configJsonSchema, connectorKind, connectorKinds, createConnector } from "../connectors/registry.ts";
import { profiles } from "../connectors/scim/profiles/index.ts";
import { profileSchema } from "../connectors/scim/schema.ts";
import type { Attribute, Outcome, Value } from "../core/types.ts";
import type { CheckConfig, CheckedConfig, Config } from "../directory/apps.ts";
import type { ConnectorForm } from "../server/api.ts";

/** Checks a configuration with its secrets; `allow_private` as the operator decided. */
export function checkConfig(allow_private: boolean): CheckConfig {
  return (kind, given): Outcome<CheckedConfig> => {
    const found = connectorKind(kind);
    if (found === undefined) {
      const known = connectorKinds().map((one) => one.kind);
      return {
        refused: `there is no connector "${kind.slice(0, 50)}": use ${known.join(", ")} or none`,
        code: "invalid",
        place: "kind",
      };
    }
    const names = new Set(found.secrets.map(({ name }) => name));
    const entries = Object.entries(given);
    const credentials = Object.fromEntries(entries.filter(([name]) => names.has(name)));
    const plain = Object.fromEntries(entries.filter(([name]) => !names.has(name)));
    const parsed = found.config.safeParse(plain);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      const place = ["config", ...(issue?.path ?? [])].join(".");
      return { refused: `${place}: ${issue?.message ?? "is not valid"}`, code: "invalid", place };
    }
    try {
      // Secrets may come later than the rest; making a connector touches nothing and calls nobody.
      const stand_ins = found.secrets.map(({ name }) => [name, secret(String(credentials[name] ?? "not-yet-given"))]);
      const connector = createConnector(kind, plain, Object.fromEntries(stand_ins), { allow_private });
      void connector.close?.();
      const destination = destinationOf(plain) ?? serverOf(plain);
      const attributes = knownAttributes(kind, plain);
      const config = JSON.parse(JSON.stringify(parsed.data)) as Record<string, Value>;
      return {
        ok: {
          config,
          credentials,
          can: connector.can,
          ...(attributes ? { attributes } : {}),
          ...(destination ? { destination } : {}),
        },
      };
    } catch (error) {
      return { refused: (error as Error).message, code: "invalid", place: "config" };
    }
  };
}

/**
 * Where a configuration sends its secrets: to the app, or to the place where its tokens come from, and then the tokens to
 * the app. Whoever moves either must enter them again.
 */
export function destinationOf(config: Config): string | undefined {
  const { oauth } = config;
  const token_url =
    typeof oauth === "object" && oauth !== null && !Array.isArray(oauth)
      ? (oauth as Readonly<Record<string, Value>>)["token_url"]
      : undefined;
  const origins = [config["base_url"], token_url].flatMap((url) =>
    typeof url === "string" ? (URL.parse(url)?.origin ?? []) : [],
  );
  return origins.length === 0 ? undefined : origins.join(" ");
}

/** The server that a form names otherwise than by an address of the web. */
const serverOf = ({ host, port = "" }: Readonly<Record<string, Value>>): string | undefined =>
  typeof host === "string" ? `${host}:${port}` : undefined;

/** The schema of an app before it was ever asked. */
function knownAttributes(kind: string, config: Readonly<Record<string, Value>>): readonly Attribute[] | undefined {
  if (kind === "push") return push_attributes;
  if (kind === "scim_in") return scim_in_attributes;
  if (kind !== "scim") return undefined;
  const profile = profiles[(config["profile"] ?? "strict") as keyof typeof profiles];
  return profileSchema(profile).attributes;
}

/** The forms of every kind of connector, as the console and the CLI show them. */
export function connectorForms(): readonly ConnectorForm[] {
  return connectorKinds().map((kind) => ({
    kind: kind.kind,
    title: kind.title,
    description: kind.description,
    config: configJsonSchema(kind),
    secrets: kind.secrets,
  }));
}
