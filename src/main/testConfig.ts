/** Tries a configuration in the app itself: credentials and reach, no writes. Called by the server before it is kept. */
import { ConnectorFault, secret } from "../connectors/connector.ts";
import { type ConnectorOptions, connectorKind, createConnector } from "../connectors/registry.ts";
import { type App, type Config, readCredentials } from "../directory/apps.ts";
import type { Database } from "../store/database.ts";
import type { Key } from "../store/secrets.ts";
import { destinationOf } from "./appTools.ts";

const test_ms = 20_000;

/** Gives the function that says what is wrong with a configuration, or undefined. */
export function configTester(db: Database, key: Key, options: Pick<ConnectorOptions, "allow_private" | "folder">) {
  return async (app: App, config: Config): Promise<string | undefined> => {
    const now = () => new Date();
    // A secret that is not given again is the one that is kept, for the address it was given for.
    const same = config["base_url"] === app.config["base_url"] && destinationOf(config) === destinationOf(app.config);
    const given = same ? { ...(await readCredentials(db, key, app.id, now())), ...config } : config;
    const names = new Set(connectorKind(app.kind)?.secrets.map(({ name }) => name));
    const secrets = Object.entries(given).filter(([name]) => names.has(name));
    const plain = Object.fromEntries(Object.entries(given).filter(([name]) => !names.has(name)));
    try {
      const credentials = Object.fromEntries(secrets.map(([name, value]) => [name, secret(String(value))]));
      const connector = createConnector(app.kind, plain, credentials, options);
      try {
        await connector.test({ signal: AbortSignal.timeout(test_ms), log: () => {}, now });
      } finally {
        await connector.close?.();
      }
      return undefined;
    } catch (error) {
      if (error instanceof ConnectorFault) return error.message;
      throw error;
    }
  };
}
