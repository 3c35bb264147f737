/**
 * A session with a database that is only read: one connection, one read-only transaction with one view of the data, and a
 * cursor in it, so that memory holds a page of any result. Addresses are judged when they are connected to, and what the
 * database says becomes one of the seven faults, without the password.
 */
import { isIP, Socket } from "node:net";
import pg from "pg";
import { type AddressRule, address_refused_code, addressRefused, guardedLookup } from "../address.ts";
import { ConnectorFault, type Context } from "../connector.ts";
import type { SqlCredentials, SqlSettings } from "./config.ts";

/** A column of the result, with its type's number. */
export type Field = Readonly<{ name: string; type: number }>;
export type Rows = Readonly<{ fields: readonly Field[]; rows: readonly (readonly unknown[])[] }>;
export type Session = Readonly<{
  /** The next rows of the query; fewer than `n` only at its end. */
  next(ctx: Context, n: number): Promise<Rows>;
  close(): Promise<void>;
}>;

export type Place = Readonly<{ settings: SqlSettings; credentials: SqlCredentials; rule: AddressRule }>;

const connect_ms = 10_000;
/** A statement may not outlive the longest reading of a source. */
const statement_ms = 3_600_000;

/** A connection that reaches only addresses that may be reached. */
function guardedSocket(rule: AddressRule): Socket {
  const socket = new Socket();
  const connect = socket.connect.bind(socket) as (options: object) => Socket;
  // The driver connects by port and host; here the name is looked up our way.
  socket.connect = ((port: number, host: string) =>
    connect({ port, host, lookup: guardedLookup(rule) })) as unknown as Socket["connect"];
  return socket;
}

/** Opens a session on the query. @throws ConnectorFault as the database refused. */
export async function openSession(place: Place, ctx: Context): Promise<Session> {
  const { settings, credentials, rule } = place;
  const why = isIP(settings.host) === 0 ? null : addressRefused(settings.host, rule);
  if (why !== null) throw new ConnectorFault("denied", `Not connecting to ${settings.host}: it ${why}`);
  const client = new pg.Client({
    host: settings.host,
    port: settings.port,
    database: settings.database,
    user: settings.username,
    password: credentials.token.reveal(),
    application_name: "tenure",
    connectionTimeoutMillis: connect_ms,
    statement_timeout: statement_ms,
    ssl: settings.tls === "off" ? false : { rejectUnauthorized: true },
    stream: () => guardedSocket(rule),
    // As the database wrote them; what they are is for rows.ts to say.
    types: { getTypeParser: () => (text: string) => text } as never,
  });
  // A connection that breaks is told by the query under way, or by the next one.
  client.on("error", () => {});
  const close = () => client.end().catch(() => {});
  try {
    await guarded(place, ctx, async () => {
      await client.connect();
      await client.query("begin transaction isolation level repeatable read, read only");
      await client.query("set local timezone = 'UTC'");
      await client.query("set local datestyle = 'ISO'");
      // An import that is given up leaves its cursor: the database ends it then.
      await client.query("set local idle_in_transaction_session_timeout = '10min'");
      // With its own protocol message a second statement behind the first is refused, whatever the text says.
      await client.query({
        text: `declare people no scroll cursor for ${settings.query}`,
        queryMode: "extended",
      } as never);
    });
  } catch (error) {
    void close();
    throw error;
  }
  return {
    next: (ctx, n) =>
      guarded(place, ctx, async () => {
        const { fields, rows } = await client.query({
          text: `fetch forward ${Math.floor(n)} from people`,
          rowMode: "array",
        });
        return { fields: fields.map(({ name, dataTypeID }) => ({ name, type: dataTypeID })), rows };
      }),
    close,
  };
}

/** Does it until the signal, and tells what the database said as a fault. */
async function guarded<T>({ settings, credentials }: Place, ctx: Context, work: () => Promise<T>): Promise<T> {
  const where = `${settings.host}:${settings.port}/${settings.database}`;
  const late = new ConnectorFault("retry", `${where}: no answer before the deadline`, { status: "deadline" });
  if (ctx.signal.aborted) throw late;
  const begun = performance.now();
  const gone = Promise.withResolvers<never>();
  const end = () => gone.reject(late);
  ctx.signal.addEventListener("abort", end, { once: true });
  try {
    return await Promise.race([work(), gone.promise]);
  } catch (error) {
    throw error instanceof ConnectorFault ? error : faultOf(error as Failure, where, credentials.token.reveal());
  } finally {
    ctx.signal.removeEventListener("abort", end);
    ctx.log({ request: `SELECT ${where}`, ms: Math.round(performance.now() - begun) });
  }
}

type Failure = Readonly<{ code?: string; message: string; position?: string; detail?: string }>;

/** SQLSTATE classes (PostgreSQL, appendix A) whose meaning is another than "try it again". */
const kinds: readonly (readonly [RegExp, ConnectorFault["kind"], string])[] = [
  [/^28|^3D/, "denied", "check the database, the user and the password"],
  [/^42501/, "denied", "the user may not read that: grant it SELECT"],
  [/^25006/, "denied", "the query writes, and here it may only read"],
  [/^42|^22|^2F|^0A/, "denied", "check the query"],
  [
    /^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_VERIFY|CERT_|ERR_TLS)/,
    "denied",
    "the server's certificate is not trusted: give its authority to this server (NODE_EXTRA_CA_CERTS)",
  ],
];

function faultOf({ code = "", message, position }: Failure, where: string, password: string): ConnectorFault {
  const [, kind = "retry", hint] = kinds.find(([pattern]) => pattern.test(code)) ?? [];
  const refused = code === address_refused_code || /does not support SSL/.test(message);
  const told = password.length >= 6 ? message.replaceAll(password, "[secret]") : message;
  const at = position === undefined ? "" : ` (character ${position} of what was sent)`;
  return new ConnectorFault(
    refused ? "denied" : kind,
    `${where}: ${told}${at}${hint === undefined ? "" : `: ${hint}`}`,
    {
      ...(code === "" ? {} : { status: code }),
    },
  );
}
