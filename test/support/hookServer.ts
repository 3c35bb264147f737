/** A hook as somebody might run one: a real HTTP server on loopback, which answers as each test says. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a hook was sent. */
export type Heard = Readonly<{
  path: string;
  headers: IncomingMessage["headers"];
  text: string;
  body: ReturnType<typeof JSON.parse>;
}>;

/** The answer: a body as JSON, or `send` for anything else. undefined: 204. */
export type Answer = (heard: Heard, response: ServerResponse) => unknown;

export type HookServer = Readonly<{
  url: string;
  heard: Heard[];
  answer(answer: Answer): void;
  close(): Promise<void>;
}>;

/** The test writes the answer itself. */
export const by_hand = Symbol("by hand");

/** Starts a hook; until it is told, it has nothing to say. */
export async function hookServer(): Promise<HookServer> {
  const heard: Heard[] = [];
  let reply: Answer = () => undefined;
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const text = Buffer.concat(parts).toString();
    const json = request.headers["content-type"]?.includes("json") && text !== "";
    const one = { path: request.url ?? "", headers: request.headers, text, body: json ? JSON.parse(text) : undefined };
    heard.push(one);
    const said = reply(one, response);
    if (said === by_hand) return;
    response.writeHead(said === undefined ? 204 : 200, { "content-type": "application/json" });
    response.end(said === undefined ? undefined : JSON.stringify(said));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    answer: (answer) => {
      reply = answer;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An answer with a status and a text. */
export const plainly =
  (status: number, text = "", headers: Readonly<Record<string, string>> = {}): Answer =>
  (_heard, response) => {
    response.writeHead(status, headers).end(text);
    return by_hand;
  };

/** No answer at all. */
export const silence: Answer = () => by_hand;
