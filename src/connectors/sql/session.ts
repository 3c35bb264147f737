/**
 * A session with a database that is only read: one connection, one read-only transaction with one view of the data, and
 * rows that come as they are asked for, so that memory holds a page of any result. Addresses are judged when they are
 * connected to, and what the database says becomes one of the seven faults, without the password.
 *
 * Here is what databases have in common; postgresql.ts and mariadb.ts open the session of one.
 */
import { isIP, Socket } from "node:net";
import { type AddressRule, address_refused_code, addressRefused, guardedLookup } from "../address.ts";
import { ConnectorFault, type Context } from "../connector.ts";
import { portOf, type SqlCredentials, type SqlSettings } from "./config.ts";
import type { Order, Since } from "./watermark.ts";

/** What a column holds, whatever the database calls its type; `text`: as the database writes it. */
export type Kind = "boolean" | "integer" | "number" | "texts" | "text";
/** A column of the result. `order`: how its values grow, if they can tell of a last change. */
export type Field = Readonly<{ name: string; kind: Kind; order: Order }>;
/** Numbers as their digits; null is no value. */
export type Cell = string | boolean | readonly string[] | null;
export type Rows = Readonly<{ fields: readonly Field[]; rows: readonly (readonly Cell[])[] }>;
export type Session = Readonly<{
  /** The next rows of the query; fewer than `n` only at its end. */
  next(ctx: Context, n: number): Promise<Rows>;
  close(): Promise<void>;
}>;

export type Place = Readonly<{ settings: SqlSettings; credentials: SqlCredentials; rule: AddressRule }>;
/** Opens a session on the query; with `since`, on its rows that have changed. @throws ConnectorFault as the database refused. */
export type OpenSession = (place: Place, ctx: Context, since: Since | undefined) => Promise<Session>;

export const connect_ms = 10_000;
/** A statement may not outlive the longest reading of a source. */
export const statement_ms = 3_600_000;
/** An import that is given up leaves its list: the database ends it then. */
export const idle_ms = 600_000;

/** A connection that reaches only addresses that may be reached. */
export function guardedSocket(rule: AddressRule): Socket {
  const socket = new Socket();
  const connect = socket.connect.bind(socket) as (options: object) => Socket;
  // The driver connects by port and host; here the name is looked up our way.
  socket.connect = ((port: number, host: string) => {
    // By this Node knows whom a certificate must name; of an address it would take one of `localhost`.
    Object.assign(socket, { _host: host });
    return connect({ port, host, lookup: guardedLookup(rule) });
  }) as unknown as Socket["connect"];
  return socket;
}

/** @throws ConnectorFault for an address that may not be reached; a name is judged when it is looked up. */
export function requireAddress({ settings: { host }, rule }: Place): void {
  const why = isIP(host) === 0 ? null : addressRefused(host, rule);
  if (why !== null) throw new ConnectorFault("denied", `Not connecting to ${host}: it ${why}`);
}

/** The query as a part of another: nothing in it, not even a comment, can reach what stands around it. */
export const asPart = ({ query }: SqlSettings): string => `(\n${query.replace(/[\s;]+$/, "")}\n) as people`;

/** SQLSTATE classes or codes of a driver, joined by a space → what they mean, where that is not "try it again". */
export type Meanings = readonly (readonly [RegExp, ConnectorFault["kind"], string])[];

/** Does it until the signal, and tells what the database said as a fault. */
export async function guarded<T>(
  { settings, credentials }: Place,
  ctx: Context,
  meanings: Meanings,
  work: () => Promise<T>,
): Promise<T> {
  const where = `${settings.host}:${portOf(settings)}/${settings.database}`;
  const late = new ConnectorFault("retry", `${where}: no answer before the deadline`, { status: "deadline" });
  if (ctx.signal.aborted) throw late;
  const begun = performance.now();
  const gone = Promise.withResolvers<never>();
  const end = () => gone.reject(late);
  ctx.signal.addEventListener("abort", end, { once: true });
  try {
    return await Promise.race([work(), gone.promise]);
  } catch (error) {
    if (error instanceof ConnectorFault) throw error;
    throw faultOf(error as Failure, where, credentials.token.reveal(), [...meanings, ...of_every_database]);
  } finally {
    ctx.signal.removeEventListener("abort", end);
    ctx.log({ request: `SELECT ${where}`, ms: Math.round(performance.now() - begun) });
  }
}

/** What drivers throw: `code` of PostgreSQL is the SQLSTATE, MariaDB has it beside. */
type Failure = Readonly<{ code?: string; sqlState?: string; message: string; position?: string }>;

/** What a server says of a failure is kept in logs and tasks. */
const message_max = 2_000;

const of_every_database: Meanings = [
  [/^28|^3D/, "denied", "check the database, the user and the password"],
  [/^25006/, "denied", "the query writes, and here it may only read"],
  [/^42|^22|^21|^2F|^0A|^07/, "denied", "check the query"],
  [
    /SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_VERIFY|CERT_|ERR_TLS/,
    "denied",
    "the server's certificate is not trusted: give its authority to this server (NODE_EXTRA_CA_CERTS)",
  ],
];

const hint_of_tls = "the server has no TLS: set it up there, or set tls to off where the network is trusted";
const hint_of_dialect = 'is it a MariaDB? Then dialect must be "mariadb"';

function faultOf(failure: Failure, where: string, password: string, meanings: Meanings): ConnectorFault {
  const { code = "", sqlState, message, position } = failure;
  const status = sqlState ? `${sqlState} ${code}`.trim() : code;
  // MariaDB's driver has one code for whatever goes wrong with TLS.
  const judged = code === "HANDSHAKE_SSL_ERROR" && /certificate|altnames/.test(message) ? "CERT_" : status;
  const [, kind = "retry", hint] = meanings.find(([pattern]) => pattern.test(judged)) ?? [];
  const no_tls = /does not support (SSL|secure connection)/.test(message);
  const refused = code === address_refused_code || no_tls;
  const plain = no_tls ? hint_of_tls : /Received unexpected (\w+) message/.test(message) ? hint_of_dialect : undefined;
  const told = (password.length >= 6 ? message.replaceAll(password, "[secret]") : message).slice(0, message_max);
  const at = position === undefined ? "" : ` (character ${position} of what was sent)`;
  return new ConnectorFault(
    refused ? "denied" : kind,
    `${where}: ${told}${at}${(plain ?? hint) === undefined ? "" : `: ${plain ?? hint}`}`,
    status === "" ? {} : { status },
  );
}
