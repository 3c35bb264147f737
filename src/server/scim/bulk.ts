/**
 * /scim/v2/Bulk (RFC 7644 3.7): operations one after the other, each with the answer it would have had by itself. A
 * resource that one of them makes is named by the others as `bulkId:x`, before or after it.
 *
 * Law: what is named before it is there waits for it; what waits in a circle, or for what failed, is refused.
 */
import { bulk_operations_max } from "../../core/scim/documents.ts";
import { type ScimFault, wrong } from "../../core/scim/fault.ts";
import { isObject } from "../../core/scim/path.ts";
import { faultReply, type Reply, ScimError } from "./answer.ts";
import type { Caller } from "./users.ts";

const request_urn = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
const response_urn = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/** One operation. `bulk_id`: what it makes is called. */
export type BulkOperation = Readonly<{
  method: string;
  path: string;
  bulk_id: string | null;
  version: string | null;
  data: unknown;
}>;

/** Does one operation as a request of its own. Never throws what the client is to blame for. */
export type Dispatch = (caller: Caller, operation: BulkOperation) => Promise<Reply>;

export async function bulk(caller: Caller, body: unknown, dispatch: Dispatch): Promise<Reply> {
  const { operations, errors_max } = readBulk(body, caller.source.strict);
  const known = new Map<string, string>();
  const makers = new Set(operations.flatMap(({ bulk_id }) => bulk_id ?? []));
  const answers: (unknown | undefined)[] = operations.map(() => undefined);
  let errors = 0;
  for (let left = operations.map((_, n) => n); left.length > 0 && errors < errors_max; ) {
    const ready = left.find((n) => referencesOf(operations[n]).every((id) => known.has(id) || !makers.has(id)));
    // What is left waits for what failed, or in a circle.
    const n = ready ?? left[0] ?? 0;
    left = left.filter((one) => one !== n);
    const operation = operations[n];
    if (operation === undefined) break;
    const reply = await one(caller, operation, known, dispatch);
    if (reply.status >= 400) errors += 1;
    const id = isObject(reply.body) ? reply.body["id"] : undefined;
    if (operation.bulk_id !== null && reply.status === 201 && typeof id === "string") known.set(operation.bulk_id, id);
    answers[n] = answerOf(caller, operation, reply);
  }
  return {
    status: 200,
    body: { schemas: [response_urn], Operations: answers.filter((answer) => answer !== undefined) },
  };
}

async function one(
  caller: Caller,
  operation: BulkOperation,
  known: ReadonlyMap<string, string>,
  dispatch: Dispatch,
): Promise<Reply> {
  const missing = referencesOf(operation).find((id) => !known.has(id));
  if (missing !== undefined) {
    return faultReply({
      status: 409,
      type: "invalidValue",
      detail: `nothing was made under bulkId ${missing.slice(0, 100)}`,
    });
  }
  return dispatch(caller, resolved(operation, known));
}

function answerOf({ base }: Caller, { method, path, bulk_id }: BulkOperation, { status, body, headers }: Reply) {
  const id = isObject(body) ? body["id"] : undefined;
  const made =
    headers?.["location"] ??
    headers?.["content-location"] ??
    (method === "POST" && typeof id !== "string" ? undefined : `${base}${path}`);
  return {
    ...{ method, ...(bulk_id === null ? {} : { bulkId: bulk_id }) },
    ...(made === undefined ? {} : { location: made }),
    ...(headers?.["etag"] === undefined ? {} : { version: headers["etag"] }),
    ...{ status: `${status}`, ...(status >= 400 ? { response: body } : {}) },
  };
}

function readBulk(
  body: unknown,
  strict: boolean,
): Readonly<{ operations: readonly BulkOperation[]; errors_max: number }> {
  if (!isObject(body)) throw new ScimError(wrong("invalidSyntax", "the body must be a JSON object"));
  const schemas = body["schemas"];
  if (strict && !(Array.isArray(schemas) && schemas.includes(request_urn))) {
    throw new ScimError(wrong("invalidSyntax", `schemas must name ${request_urn}`));
  }
  const given = body["Operations"];
  if (!Array.isArray(given)) throw new ScimError(wrong("invalidSyntax", "Operations must be a list"));
  if (given.length > bulk_operations_max) {
    const fault: ScimFault = {
      status: 413,
      type: "tooMany",
      detail: `a bulk has at most ${bulk_operations_max} operations`,
    };
    throw new ScimError(fault);
  }
  const most = body["failOnErrors"];
  const operations = given.map(readBulkOperation);
  const ids = operations.flatMap(({ bulk_id }) => bulk_id ?? []);
  if (new Set(ids).size < ids.length) throw new ScimError(wrong("invalidValue", "a bulkId is there twice"));
  return { operations, errors_max: typeof most === "number" && most > 0 ? most : Number.POSITIVE_INFINITY };
}

function readBulkOperation(given: unknown): BulkOperation {
  if (!isObject(given)) throw new ScimError(wrong("invalidSyntax", "each operation must be an object"));
  const text = (name: string) => (typeof given[name] === "string" ? (given[name] as string) : null);
  const [method, path, bulk_id] = [text("method")?.toUpperCase(), text("path"), text("bulkId")];
  if (!method || !["POST", "PUT", "PATCH", "DELETE"].includes(method) || path === null) {
    throw new ScimError(wrong("invalidSyntax", "an operation needs a method (POST, PUT, PATCH, DELETE) and a path"));
  }
  if (method === "POST" && bulk_id === null) throw new ScimError(wrong("invalidSyntax", "a POST needs a bulkId"));
  return { method, path, bulk_id: method === "POST" ? bulk_id : null, version: text("version"), data: given["data"] };
}

const reference = /^bulkId:(.+)$/i;
const in_path = /bulkId:([^/]+)/i;

/** The bulkIds that an operation names: in its path and as values of its data. */
function referencesOf(operation: BulkOperation | undefined): readonly string[] {
  const found = new Set<string>();
  const id = in_path.exec(operation?.path ?? "")?.[1];
  if (id !== undefined) found.add(id);
  mapped(operation?.data, (text) => {
    const named = reference.exec(text)?.[1];
    if (named !== undefined) found.add(named);
    return text;
  });
  return [...found];
}

function resolved(operation: BulkOperation, known: ReadonlyMap<string, string>): BulkOperation {
  const path = operation.path.replace(in_path, (whole, id: string) => known.get(id) ?? whole);
  const data = mapped(operation.data, (text) => known.get(reference.exec(text)?.[1] ?? "") ?? text);
  return { ...operation, path, data };
}

/** The data with its texts changed. Its depth was bounded when it was read. */
function mapped(data: unknown, change: (text: string) => string): unknown {
  if (typeof data === "string") return change(data);
  if (Array.isArray(data)) return data.map((item) => mapped(item, change));
  if (!isObject(data)) return data;
  return Object.fromEntries(Object.entries(data).map(([name, item]) => [name, mapped(item, change)]));
}
