/**
 * The poller of the kill test: a reader of `GET /api/v1/logs` who follows next links from the first event on while the
 * node is killed and started again, and goes on from the last link that was answered whole. At the end what it was shown
 * is held against the events table.
 *
 * Law: a page counts when its answer is here, with its next link, or not at all; so whatever is shown twice or not at all
 * is the server's doing.
 */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { uuid_of_event } from "../../../src/store/log.ts";
import type { Stage } from "./stage.ts";

/** An event as the table has it, in the order in which the log vouches for it: by transaction, then by number. */
export type Kept = Readonly<{ uuid: string; seq: string; transaction_id: string }>;

export type LogFindings = Readonly<Record<"log_missed" | "log_doubled" | "log_disordered", string[]>>;
export type SeenLog = Readonly<{ findings: LogFindings; events: number }>;

export type Poller = Readonly<{
  /** Follows until everything that is in the table now has been shown, or too long, and compares. */
  end(): Promise<SeenLog>;
  /** Follows no longer, whatever went wrong. */
  stop(): Promise<void>;
}>;

type Event = Readonly<{ uuid: string }>;

/** Small, so that there are many pages and kills fall between them. */
const page_size = 40;
const pause_ms = 25;
const call_ms = 30_000;
const late_ms = 30_000;

/** Begins to follow the log of a stage's node. */
export function followLog({ node, api, database }: Stage): Poller {
  const stopping = new AbortController();
  const { signal } = stopping;
  const aborted = once(signal, "abort");
  const seen: string[] = [];
  let link = `${node.url}/api/v1/logs?since=1970-01-01T00:00:00Z&limit=${page_size}`;

  const follow = async () => {
    while (!signal.aborted) {
      await Promise.race([node.ready(), aborted]);
      const page = await ask(link, api.token, signal);
      if (page !== undefined) {
        seen.push(...page.events.map(({ uuid }) => uuid));
        link = page.next;
      }
      if (page?.events.length !== page_size) await sleep(pause_ms, undefined, { signal }).catch(() => {});
    }
  };
  const following = follow();
  // Whatever goes wrong is told when it is waited for.
  following.catch(() => {});

  const table = async () => {
    const { rows } = await database.query<Kept>(
      `select ${uuid_of_event}::text as uuid, seq::text, transaction_id::text from events e order by e.transaction_id, e.seq`,
    );
    return rows;
  };
  return {
    end: async () => {
      const due = await table();
      const last = due.at(-1)?.uuid;
      for (const until = Date.now() + late_ms; last !== undefined && !seen.includes(last) && Date.now() < until; ) {
        await Promise.race([sleep(pause_ms), following]);
      }
      stopping.abort();
      await following;
      // The node may go on to write events: those are not yet owed, but must be there when they were shown.
      return compareLog(due, await table(), seen);
    },
    stop: async () => {
      stopping.abort();
      await following.catch(() => {});
    },
  };
}

/** One page; undefined when the answer was lost. @throws Error when the server refuses or gives no way on. */
async function ask(link: string, token: string, signal: AbortSignal) {
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(link, {
      headers: { authorization: `SSWS ${token}`, accept: "application/json" },
      signal: AbortSignal.any([signal, AbortSignal.timeout(call_ms)]),
    });
    text = await answer.text();
  } catch {
    return undefined;
  }
  if (answer.status === 503) return undefined;
  const next = /<([^>]+)>; rel="next"/.exec(answer.headers.get("link") ?? "")?.[1];
  if (!answer.ok || next === undefined) throw new Error(`GET ${link}: ${answer.status}, next ${next}: ${text}`);
  return { events: JSON.parse(text) as readonly Event[], next };
}

/**
 * Compares what was shown with the table.
 *
 * - log_missed: an event of `due` that was never shown.
 * - log_doubled: an event that was shown again.
 * - log_disordered: an event shown behind a later one, or that is not in the table.
 *
 * @param due what must have been shown.
 * @param kept all that may have been, in order.
 */
export function compareLog(due: readonly Kept[], kept: readonly Kept[], seen: readonly string[]): SeenLog {
  const findings: LogFindings = { log_missed: [], log_doubled: [], log_disordered: [] };
  const places = new Map(kept.map(({ uuid }, place) => [uuid, place]));
  const words = (uuid: string) => {
    const event = kept[places.get(uuid) ?? -1];
    return event === undefined ? uuid : `${uuid} (event ${event.seq} of transaction ${event.transaction_id})`;
  };
  const shown = new Set<string>();
  let furthest = -1;
  for (const uuid of seen) {
    const place = places.get(uuid);
    if (shown.has(uuid)) findings.log_doubled.push(`${words(uuid)} was shown again`);
    else if (place === undefined) findings.log_disordered.push(`${uuid} was shown, and is not in the table`);
    else if (place < furthest) findings.log_disordered.push(`${words(uuid)} was shown behind a later one`);
    shown.add(uuid);
    furthest = Math.max(furthest, place ?? -1);
  }
  for (const { uuid } of due) if (!shown.has(uuid)) findings.log_missed.push(`${words(uuid)} was never shown`);
  return { findings, events: shown.size };
}
