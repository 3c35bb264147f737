/** A system that is told of events: a real HTTP server on loopback, which keeps what it gets and answers as the test says. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Got = Readonly<{
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  text: string;
  json: ReturnType<typeof JSON.parse>;
}>;

export type Receiver = Readonly<{
  url: string;
  got: Got[];
  /** What it does with every call from now on. */
  answer(how: (got: Got, response: ServerResponse) => void | Promise<void>): void;
  /** Reasons of all events it got, in order. */
  told(): string[];
  stop(): Promise<void>;
}>;

/** Until it is told otherwise, it gives a verification's challenge back and takes every delivery. */
function obliging({ headers }: Got, response: ServerResponse): void {
  const challenge = headers["x-okta-verification-challenge"];
  if (challenge === undefined) response.writeHead(204).end();
  else response.setHeader("content-type", "application/json").end(JSON.stringify({ verification: challenge }));
}

/** Starts one. */
export async function startReceiver(): Promise<Receiver> {
  const got: Got[] = [];
  let how: Parameters<Receiver["answer"]>[0] = obliging;
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const text = Buffer.concat(parts).toString("utf8");
    const { method = "", url = "", headers } = request;
    const one = { method, url, headers, text, json: text === "" ? undefined : JSON.parse(text) };
    got.push(one);
    await how(one, response);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    got,
    answer: (next) => {
      how = next;
    },
    told: () => got.flatMap(({ json }) => json?.data?.events ?? []).map((event) => event.outcome.reason),
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
