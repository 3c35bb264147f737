/** A TCP proxy in front of a database that can be taken away and given back, as a network or a failover does it. */
import net from "node:net";

export type DatabaseProxy = Readonly<{
  url: string;
  /** Cuts every connection and refuses new ones. */
  away(): Promise<void>;
  /** Takes connections again, at the same address. */
  back(): Promise<void>;
}>;

/** A proxy for the server of a connection string, whose host may be a socket's folder. */
export async function databaseProxy(target: string): Promise<DatabaseProxy> {
  const to = new URL(target);
  const folder = to.searchParams.get("host");
  const port = Number(to.port || 5432);
  const sockets = new Set<net.Socket>();
  const make = () =>
    net.createServer((client) => {
      const server = folder?.startsWith("/")
        ? net.connect(`${folder}/.s.PGSQL.${port}`)
        : net.connect(port, to.hostname);
      for (const [one, other] of [
        [client, server],
        [server, client],
      ] as const) {
        sockets.add(one);
        one.pipe(other);
        one.on("error", () => other.destroy());
        one.on("close", () => {
          sockets.delete(one);
          other.destroy();
        });
      }
    });
  let server = make();
  await listen(server, 0);
  const address = server.address() as net.AddressInfo;
  const url = new URL(target);
  url.hostname = "127.0.0.1";
  url.port = String(address.port);
  url.searchParams.delete("host");
  return {
    url: url.href,
    away: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    back: async () => {
      server = make();
      await listen(server, address.port);
    },
  };
}

function listen(server: net.Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
}
