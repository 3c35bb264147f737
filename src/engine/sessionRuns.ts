/**
 * Carries out what sources sent by themselves: takes the sessions that were started, each in its turn, and imports them.
 * On whichever node: a session whose node died is taken again, and what was applied compares as unchanged.
 *
 * Called by the loop for every source, and by the server for one whose record somebody waits for.
 */
import { nextSessions, session_work_ms } from "../directory/sessionTurns.ts";
import { isRefusal } from "../store/database.ts";
import { system } from "../store/log.ts";
import { startImport } from "./import.ts";
import { node_silence_ms } from "./importStage.ts";
import type { World } from "./world.ts";

/** More sources than these do not get in each other's way at one look. */
const candidates_max = 20;

/**
 * Imports the next session of all sources, or the next record that one source sent by itself (`app_id`). Gives false when
 * there is none whose turn it is.
 */
export async function runNextSession(world: World, app_id?: string): Promise<boolean> {
  const now = world.now();
  const moment = { now, silent_since: new Date(now.getTime() - node_silence_ms) };
  for (const session of await nextSessions(world.db, moment, candidates_max, app_id)) {
    const { id, single, cause, started_by, app_id: source } = session;
    const done = await startImport(world, source, {
      mode: "incremental",
      actor: started_by ?? system,
      session: { id, single, cause },
      signal: world.deadline(new Date(now.getTime() + session_work_ms)),
    });
    // Somebody else was first, or another import of this source runs: the next source's turn.
    if (!isRefusal(done)) return true;
  }
  return false;
}
