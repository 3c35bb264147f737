/** A way to a PostgreSQL over TCP on loopback: the embedded server listens on a socket in the file system only. */

import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";

export type OverTcp = Readonly<{ host: string; port: number; close(): void }>;

/** Opens a way to the server of a connection string. A server that is reached over TCP is left as it is. */
export async function overTcp(url: string): Promise<OverTcp> {
  const { hostname, port, searchParams } = new URL(url);
  const socket_folder = searchParams.get("host");
  if (socket_folder === null) return { host: hostname, port: Number(port || 5432), close: () => {} };
  const server = createServer((client) => {
    const behind = connect(`${socket_folder}/.s.PGSQL.${port || 5432}`);
    client.on("error", () => behind.destroy());
    behind.on("error", () => client.destroy());
    client.pipe(behind).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port, close: () => server.close() };
}
