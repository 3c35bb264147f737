/**
 * Being woken by other transactions' `notify tenure_work`, over one connection of its own. Only a nudge: whoever listens
 * polls all the same, so a lost connection loses nothing; it is opened again in the background.
 */
import pg from "pg";

/** Longest wait between two tries to connect again. */
const retry_max_ms = 5_000;

/**
 * Calls `wake` for every notification, with what it says, and with nothing after every reconnect: anything may have been
 * missed.
 *
 * @returns a function that stops listening.
 */
export async function listenForWork(url: string, wake: (says: string) => void): Promise<() => Promise<void>> {
  let stopped = false;
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  const connect = async (failures: number): Promise<void> => {
    if (stopped) return;
    const next = new pg.Client({ connectionString: url, application_name: "tenure-listen", keepAlive: true });
    const again = () => {
      if (client !== next && client !== undefined) return;
      client = undefined;
      if (stopped) return;
      clearTimeout(timer);
      timer = setTimeout(() => void connect(failures + 1), Math.min(retry_max_ms, 100 * 2 ** failures));
      timer.unref();
    };
    next.on("error", again);
    next.on("end", again);
    next.on("notification", ({ payload = "" }) => wake(payload));
    try {
      await next.connect();
      await next.query("listen tenure_work");
      client = next;
      failures = 0;
      wake("");
    } catch {
      await next.end().catch(() => {});
      again();
    }
  };
  await connect(0);
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await client?.end().catch(() => {});
  };
}
