/**
 * A source as some of its people: what an import of one person, or of those whom a source told of, reads in place of the
 * whole list. Everything behind it (compare, match, guard, decide, apply, log) is the one import there is.
 *
 * Laws:
 * - each is asked for alone where the connector can; else the list is read once, and all rows of these people are taken.
 * - whom the source has no record of is told, and has not left by that: a source answers "not there" also where a token
 *   sees less than it did, and a list read through may lack rows. A full import, which sees everyone, decides that.
 * - a record that cannot be read stops none of the others; a source that cannot be reached stops all.
 *
 * Called by import.ts; whom a text means is asked by the server.
 */
import {
  ConnectorFault,
  type Context,
  type Page,
  type PageRequest,
  type RemoteAccount,
} from "../connectors/connector.ts";
import type { Refusal } from "../core/types.ts";
import { type Database, sql } from "../store/database.ts";
import type { EngineApp } from "./world.ts";

/**
 * Whom an import is about, by their ids in the source. `told`: the source itself said that they have changed. `onUnread`:
 * told of each that the source could not give now, and when it may be asked again, if it says so. `onGone`: of each that the
 * source has no record of.
 */
export type ImportPeople = Readonly<{
  ids: readonly string[];
  told?: true;
  onUnread?: (id: string, reason: string, retry_at?: Date) => void;
  onGone?: (id: string) => void;
}>;

/** People of one import at most. */
export const people_max = 100;
/** So many failures in a row, before anything was answered, are the source's and no single record's. */
const failures_max = 3;

/**
 * The id in a source that a text means: an id that the source has given us, else that of whoever here has this login,
 * number or id and an account there, else the text itself, which the source may know.
 */
export async function idInSource(db: Database, app_id: string, text: string): Promise<string | Refusal> {
  const { rows: known } = await sql`
    select from accounts where app_id = ${app_id} and external_id = ${text} limit 1`.execute(db);
  if (known.length > 0) return text;
  const { rows } = await sql<{ external_id: string; login: string }>`
    select a.external_id, u.login from accounts a join users u on u.id = a.user_id
    where a.app_id = ${app_id} and a.external_id is not null
      and (u.id = ${text} or u.login = lower(${text})
        or (lower(u.profile->>'employeeNumber') = lower(${text}) and u.profile->>'employeeNumber' = ${text}))
    order by u.id limit 2`.execute(db);
  const [one, other] = rows;
  if (one !== undefined && other !== undefined) {
    const refused = `${text} is ${one.login} and also ${other.login}: give the login or the id in the source`;
    return { refused, code: "invalid", place: "person" };
  }
  return one?.external_id ?? text;
}

/** The source as these people. `several`: a person may have several rows there. */
export function onlyThese(app: EngineApp, people: ImportPeople, several: boolean): EngineApp {
  const alone = !several && app.connector.lists_only !== true;
  const list = async (ctx: Context, request: PageRequest): Promise<Page> => {
    const asked = alone && request.cursor === undefined ? await readEach(app, people, ctx) : undefined;
    return asked ?? readThrough(app, people, ctx);
  };
  return { ...app, connector: { ...app.connector, list } };
}

type Unreadable = { place: string; reason: string; id: string };

function missing({ label }: EngineApp, { onGone }: ImportPeople, id: string): Unreadable {
  onGone?.(id);
  const reason = `${label} has no record of this id. Nobody leaves by an import of single people: a full import decides that`;
  return { place: id, id, reason };
}

/** Asks for each alone; undefined: the connector can only list. */
async function readEach(app: EngineApp, people: ImportPeople, ctx: Context): Promise<Page | undefined> {
  const { ids, onUnread } = people;
  const items: RemoteAccount[] = [];
  const refused: Unreadable[] = [];
  let [answered, failures] = [0, 0];
  for (const [at, id] of ids.entries()) {
    try {
      const one = await app.connector.read(ctx, id);
      answered++;
      if (one === null) refused.push(missing(app, people, id));
      else items.push(one);
    } catch (error) {
      if (!(error instanceof ConnectorFault)) throw error;
      const { kind, message, retry_at } = error;
      if (kind === "unsupported" && answered === 0) return undefined;
      if (ctx.signal.aborted) throw error;
      if (kind === "rate_limited") {
        for (const left of ids.slice(at)) onUnread?.(left, message, retry_at ?? ctx.now());
        if (answered === 0) throw error;
        // What was answered is worth keeping: with a tight rate there would be no end to it otherwise.
        break;
      }
      failures++;
      // A source may refuse one record, as it may fail at one.
      const passing = kind === "retry" || kind === "denied";
      if (passing) onUnread?.(id, message);
      if (passing && answered === 0 && failures >= Math.min(failures_max, ids.length)) throw error;
      refused.push({ place: id, id, reason: message });
    }
  }
  return { items, complete: true, refused };
}

/** Reads the list once, to its end, and takes all rows of these people. */
async function readThrough(app: EngineApp, people: ImportPeople, ctx: Context): Promise<Page> {
  const { ids } = people;
  const wanted = new Set(ids);
  const seen = new Set<string>();
  const items: RemoteAccount[] = [];
  const refused: { place: string; reason: string; id?: string }[] = [];
  let [cursor, complete, nameless]: [string | undefined, boolean, boolean] = [undefined, true, false];
  do {
    const page: Page = await app.connector.list(ctx, {
      ...{ limit: page_size, repeats: true },
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const one of page.items) {
      if (!wanted.has(one.id)) continue;
      seen.add(one.id);
      items.push(one);
      if (items.length > rows_max) throw new ConnectorFault("invalid", `${app.label} has too many rows of ${one.id}`);
    }
    for (const one of page.refused ?? []) {
      if (one.id === undefined) nameless = true;
      else if (wanted.has(one.id)) {
        seen.add(one.id);
        refused.push(one);
      }
    }
    complete = page.complete ?? page.next === undefined;
    cursor = page.next;
  } while (cursor !== undefined);
  const absent = ids.filter((id) => !seen.has(id)).map((id) => missing(app, people, id));
  return { items, complete: complete && !nameless, refused: [...refused, ...absent] };
}

const page_size = 2_000;
/** Rows of these people together. */
const rows_max = 100 * people_max;
