/**
 * Creations in one request (RFC 7644 3.7), where the server offers it: each of them gets the answer that it would have had
 * by itself, so who sends them need not know.
 *
 * Laws: a creation is sent again by itself only where the whole request was refused without effect; of any other failure
 * everyone in it is told `retry`, and is searched for before the next try (rule 4 of engine/provision.ts). What a server
 * says of a whole request is never held against one account.
 *
 * Called by connector.ts for write.ts.
 */
import { packs } from "../../core/packs.ts";
import { field, isObject } from "../../core/scim/path.ts";
import { listBytes } from "../../core/utf8.ts";
import { ConnectorFault, type Context } from "../connector.ts";
import { gather } from "../gather.ts";
import type { HttpAnswer, HttpRequest } from "../http.ts";
import type { OffersReader } from "./offers.ts";
import type { Wire } from "./wire.ts";

const request_urn = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

/** `send` gives any answer, as Wire does. `most`: so many may be sent at once, 1 where they are not. */
export type BulkWriter = Readonly<{ send(ctx: Context, request: HttpRequest): Promise<HttpAnswer>; most(): number }>;

/** Creations in one request, whatever more is offered: from 50 to 200 nothing is gained, and each waits for the others. */
const operations_max = 50;

type Operation = Readonly<{ bulk_id: string; request: HttpRequest; text: string }>;

/** The statuses that say that there is no such thing as a bulk here, so nothing was done. */
const absent = new Set([404, 405, 501]);

/** Makes the writer of one server. */
export function bulkWriter(wire: Wire, offers: OffersReader): BulkWriter {
  let off = false;
  /** What it takes, lowered for good when it says that a request is too large. */
  let takes = operations_max;
  /** Halved when a request fails, doubled when one succeeds: a server in trouble is given less at a time. */
  let limit = operations_max;
  const offered = () => offers.known()?.bulk_max ?? operations_max;
  const most = () => (off ? 1 : Math.max(1, Math.min(takes, limit, offered())));
  const alone = (ctx: Context, request: HttpRequest) => wire.send(ctx, request);
  const each = (ctx: Context, some: readonly Operation[]) =>
    Promise.allSettled(some.map(({ request }) => alone(ctx, request)));

  const sendAll = async (ctx: Context, some: readonly Operation[]) => {
    if (some.length === 1) return each(ctx, some);
    try {
      const answer = await wire.send(ctx, bulkRequest(wire, some));
      if (absent.has(answer.status)) {
        off = true;
        return each(ctx, some);
      }
      if (answer.status === 413) {
        takes = some.length >> 1;
        return each(ctx, some);
      }
      const answers = answersOf(wire, ctx, answer, some);
      limit = Math.min(operations_max, limit * 2);
      return answers;
    } catch (fault) {
      if (!(fault instanceof ConnectorFault)) throw fault;
      if (fault.kind === "rate_limited" || fault.kind === "denied") throw fault;
      if (fault.kind === "retry") limit = Math.max(2, limit >> 1);
      else off = true;
      throw fault.kind === "retry" ? fault : asRetry(fault);
    }
  };

  return {
    // Who has not been asked yet is only taken to offer it where that leads to the question.
    most: () => (offers.known() === undefined ? 1 : most()),
    send: gather<HttpRequest, HttpAnswer>({
      most,
      alone,
      together: async (ctx, requests) => {
        const { bulk_max, bulk_bytes } = await offers.read(ctx);
        if (off || bulk_max < 2) return Promise.allSettled(requests.map((request) => alone(ctx, request)));
        const requested = packs(requests.map(operationOf), {
          ...{ most: Math.min(bulk_max, takes, limit), size_max: bulk_bytes },
          ...{ size: ({ text }) => Buffer.byteLength(text) + 1, base: envelope_bytes },
        });
        const ends = await Promise.all(
          [...requested].map((some) =>
            sendAll(ctx, some).catch((reason: unknown) => some.map(() => ({ status: "rejected" as const, reason }))),
          ),
        );
        return ends.flat();
      },
    }),
  };
}

/** Nothing is known of what came of them: they are looked for, and then sent one at a time. */
const asRetry = (fault: ConnectorFault) =>
  new ConnectorFault("retry", `${fault.message}; from now on accounts are sent there one at a time`, {
    ...(fault.status === undefined ? {} : { status: fault.status }),
  });

function operationOf(request: HttpRequest, n: number): Operation {
  const bulk_id = `a${n}`;
  const { method, path, json } = request;
  return { bulk_id, request, text: JSON.stringify({ method, path, bulkId: bulk_id, data: json }) };
}

const bodyOf = (texts: readonly string[]) => listBytes(`{"schemas":["${request_urn}"],"Operations":[`, texts, "]}");
const envelope_bytes = bodyOf([]).length;

function bulkRequest(wire: Wire, some: readonly Operation[]): HttpRequest {
  return {
    method: "POST",
    path: "/Bulk",
    text: bodyOf(some.map(({ text }) => text)),
    headers: { "content-type": wire.profile.http.content_type },
    secrets: some.flatMap(({ request }) => request.secrets ?? []),
  };
}

/** @throws ConnectorFault where the server did not answer for each operation by itself. */
function answersOf(
  wire: Wire,
  ctx: Context,
  whole: HttpAnswer,
  some: readonly Operation[],
): PromiseSettledResult<HttpAnswer>[] {
  const fault = wire.fault(ctx, whole);
  if (fault !== null) throw fault;
  const given = field(whole.json, "Operations");
  if (!Array.isArray(given)) {
    throw new ConnectorFault("unsupported", `${whole.request} answered ${whole.status} without its operations`);
  }
  const by_id = new Map(given.map((one: unknown) => [field(one, "bulkId"), one]));
  return some.map((operation) => {
    const told = by_id.get(operation.bulk_id);
    const status = statusOf(told);
    if (status !== undefined) return { status: "fulfilled", value: answerOf(wire, whole, operation, told, status) };
    const message = `${whole.request} did not say what came of one of its ${some.length} accounts`;
    return { status: "rejected", reason: new ConnectorFault("retry", message) };
  });
}

/** "201", 201, or as some servers have it {code: "201"}. */
function statusOf(told: unknown): number | undefined {
  const status = field(told, "status");
  const number = Number(isObject(status) ? status["code"] : (status ?? Number.NaN));
  return Number.isInteger(number) && number >= 100 && number < 600 ? number : undefined;
}

/** The answer that the operation would have had by itself. */
function answerOf(wire: Wire, whole: HttpAnswer, { request }: Operation, told: unknown, status: number): HttpAnswer {
  const response = field(told, "response");
  const json = isObject(response) ? response : undefined;
  const [location, version] = [field(told, "location"), field(told, "version")];
  return {
    request: `${request.method} ${wire.base_url}${request.path}`,
    status,
    header: (name) => {
      if (name === "location") return typeof location === "string" ? location : undefined;
      if (name === "etag") return typeof version === "string" ? version : undefined;
      return whole.header(name);
    },
    text: json === undefined || status < 300 ? "" : JSON.stringify(json),
    json,
    html: false,
    blot: whole.blot,
  };
}
