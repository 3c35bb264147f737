/**
 * An HTTP/1.1 connection for load generators: one request under way, its answer read to the end, nothing kept but what is
 * asked for. A client library costs as much as the server's own part in it, and what it leaves to be collected shows in
 * the slowest hundredth: of 10,000 look-ups over 16 connections that was 15.9 ms with undici's pool.
 *
 * It knows what our own server sends, and no more: a Content-Length, or no body where there is none.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** `head`: status line and header lines. `start`: the first 500 bytes of the body at most, for a message. */
export type WireAnswer = Readonly<{ status: number; head: string; bytes: number; start: string }>;

export type Wire = Readonly<{
  /** Sends what `requestText` made. Rejects when the connection breaks or the answer is in no form known here. */
  ask(request: Buffer): Promise<WireAnswer>;
  close(): void;
}>;

/** A request in the form in which it goes out. `headers`: lines, such as `authorization: Bearer x`. */
export function requestText(
  origin: string,
  request: Readonly<{ method: string; path: string; headers: readonly string[]; body?: string | undefined }>,
): Buffer {
  const { method, path, headers, body } = request;
  const length = body === undefined ? [] : [`content-length: ${Buffer.byteLength(body)}`];
  const lines = [`${method} ${path} HTTP/1.1`, `host: ${new URL(origin).host}`, ...headers, ...length];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body ?? ""}`);
}

/** As much as one read of the operating system gives. */
const read_bytes = 262_144;

type Waiting = Readonly<{ resolve: (answer: WireAnswer) => void; reject: (error: Error) => void }>;
type Reading = { head: string; status: number; start: string; bytes: number; length: number };

export async function openWire(origin: string): Promise<Wire> {
  const { hostname, port } = new URL(origin);
  let waiting: Waiting | undefined;
  let reading: Reading | undefined;
  const fail = (error: Error) => {
    waiting?.reject(error);
    waiting = undefined;
    socket.destroy();
  };
  const take = (chunk: Buffer) => {
    if (reading === undefined) {
      const begun = begin(chunk);
      if (begun === undefined) return fail(new Error(`no head of an answer: ${chunk.toString("latin1", 0, 200)}`));
      reading = begun;
    } else {
      reading.bytes += chunk.length;
    }
    if (reading.bytes < reading.length) return;
    const { head, status, start, bytes } = reading;
    reading = undefined;
    const asked = waiting;
    waiting = undefined;
    asked?.resolve({ status, head, bytes, start });
  };
  // Into the same memory again and again: a new buffer for each piece of a page would be half of the client's work.
  const buffer = Buffer.allocUnsafeSlow(read_bytes);
  const callback = (size: number) => {
    take(buffer.subarray(0, size));
    return true;
  };
  const socket: Socket = connect({ host: hostname, port: Number(port), noDelay: true, onread: { buffer, callback } });
  await once(socket, "connect");
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("the server closed the connection")));
  const ask = (request: Buffer) =>
    new Promise<WireAnswer>((resolve, reject) => {
      waiting = { resolve, reject };
      socket.write(request);
    });
  return { ask, close: () => socket.destroy() };
}

/** A head comes whole in the first chunk: our server writes it at once. */
function begin(chunk: Buffer): Reading | undefined {
  const ends = chunk.indexOf("\r\n\r\n");
  if (ends < 0) return undefined;
  const head = chunk.toString("latin1", 0, ends);
  const status = Number(head.slice(9, 12));
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  if (length === undefined && status !== 204) return undefined;
  const start = chunk.toString("utf8", ends + 4, ends + 504);
  return { head, status, start, bytes: chunk.length - ends - 4, length: Number(length ?? 0) };
}
