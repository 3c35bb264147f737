/** A process of its own that imports what changed in a table, telling on stdout how far it is: `node … URL APP FORM`. */
import { startImport } from "../../src/engine/import.ts";
import { openDatabase } from "../../src/store/database.ts";
import { admin, testWorld } from "../support/world.ts";
import { sqlSource } from "./sqlHr.ts";

const [url = "", app_id = "", form = ""] = process.argv.slice(2);
const db = openDatabase(url);
const world = await testWorld(db, { prepared: true, node: `child ${process.pid}` });
world.connectors.set(app_id, sqlSource(JSON.parse(form)));
const onProgress = ({ phase, done }: { phase: string; done: number }) => process.stdout.write(`${phase} ${done}\n`);
await startImport(world, app_id, { mode: "incremental", actor: admin, onProgress });
process.stdout.write("ended\n");
await db.destroy();
