/** Starts a real SCIM server in a process of its own and connects to it, for the contract suite. */
import { fileURLToPath } from "node:url";
import { spawnApp } from "../../demo/apps/spawn.ts";
import { secret } from "../../src/connectors/connector.ts";
import type { ScimConfig } from "../../src/connectors/scim/config.ts";
import { scimConnector } from "../../src/connectors/scim/connector.ts";
import type { Running } from "./suite.ts";

/** The file of a server that only tests use. */
export function interopServer(name: string): string {
  return fileURLToPath(new URL(`../interop/servers/${name}.ts`, import.meta.url));
}

export type ServerOptions = Readonly<{ file?: string; args?: readonly string[]; config?: Partial<ScimConfig> }>;

/** A connector to a freshly started server, and one to it with a wrong token. */
export async function startScim(name: string, options: ServerOptions = {}): Promise<Running & { url: string }> {
  const { file, args, config } = options;
  const app = await spawnApp(name, {
    ...(file === undefined ? {} : { file }),
    ...(args === undefined ? {} : { args }),
  });
  const connect = (token: string) =>
    scimConnector(
      { base_url: app.url, profile: "strict", ...config },
      { token: secret(token) },
      { allow_private: true },
    );
  return { connector: connect(app.token), stranger: connect("a-wrong-token"), stop: app.stop, url: app.url };
}
