/** A process of its own that imports a CSV file once, telling on stdout how far it is: `node importChild.ts URL APP FILE`. */
import { basename, dirname } from "node:path";
import { csvConnector } from "../../src/connectors/csv/connector.ts";
import { startImport } from "../../src/engine/import.ts";
import { openDatabase } from "../../src/store/database.ts";
import { admin, testWorld } from "../support/world.ts";

const [url = "", app_id = "", path = ""] = process.argv.slice(2);
const db = openDatabase(url);
const world = await testWorld(db, { prepared: true, node: `child ${process.pid}` });
const config = { file: basename(path), id_column: "id", enabled_column: "state" };
world.connectors.set(app_id, csvConnector(config, { folder: dirname(path) }));
const onProgress = ({ phase, done }: { phase: string; done: number }) => process.stdout.write(`${phase} ${done}\n`);
const result = await startImport(world, app_id, { mode: "full", actor: admin, onProgress });
process.stdout.write(`ended ${JSON.stringify(result)}\n`);
await db.destroy();
