/** A node that a test can kill: starts the embedded PostgreSQL of a folder, prints how, and stays until stopped. */
import { startEmbedded } from "../../src/store/embedded.ts";

const server = await startEmbedded({
  data_folder: process.argv[2] ?? "",
  throwaway: true,
  log: (line) => process.stderr.write(`${line}\n`),
});
process.stdout.write(`${JSON.stringify({ url: server.url, adopted: server.adopted, pid: server.pid() })}\n`);
process.on("SIGTERM", () => server.stop().then(() => process.exit(0)));
setInterval(() => {}, 60_000);
