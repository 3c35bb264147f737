/**
 * Reads an app over SCIM, to see what it really holds. The story checks every step with this, and it shares no code with
 * the connector that wrote: a mistake common to both would otherwise go unseen.
 *
 * Law: it only reads, and it is patient: the flaky app fails readers too.
 */
import { setTimeout as sleep } from "node:timers/promises";

/** Where an app answers, and as whom to ask. `paging`: AWS gives cursors where others count. */
export type Address = Readonly<{ url: string; token: string; paging?: "cursor" }>;

type Json = { readonly [key: string]: unknown };

/** An account as the app shows it. `raw`: the resource, for attributes that are not here. */
export type SeenAccount = Readonly<{
  id: string;
  userName: string;
  active: boolean;
  title: string | null;
  department: string | null;
  manager: string | null;
  roles: readonly string[];
  raw: Json;
}>;

export type SeenGroup = Readonly<{ id: string; name: string; members: readonly string[] }>;

const tries_max = 12;
const call_ms = 10_000;
const page_size = 100;
const pages_max = 200;
const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/** One answer. Tries again after 429, 5xx and lost connections; null when the resource is not there. */
async function get(app: Address, path: string): Promise<Json | null> {
  let last = "";
  for (let attempt = 1; attempt <= tries_max; attempt++) {
    try {
      const answer = await fetch(`${app.url}${path}`, {
        headers: { authorization: `Bearer ${app.token}`, accept: "application/scim+json, application/json" },
        signal: AbortSignal.timeout(call_ms),
      });
      if (answer.status === 404) return null;
      if (answer.ok) return (await answer.json()) as Json;
      last = `${answer.status} ${(await answer.text()).slice(0, 200)}`;
      if (answer.status < 500 && answer.status !== 429) break;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await sleep(100 * attempt);
  }
  throw new Error(`GET ${app.url}${path}: ${last}`);
}

/** Every resource of a kind, by id. Ends when a page brings nothing new, whatever the app says of its total. */
async function all(app: Address, kind: "Users" | "Groups"): Promise<readonly Json[]> {
  const seen = new Map<string, Json>();
  let cursor = "";
  for (let page = 0; page < pages_max; page++) {
    const place = app.paging === "cursor" ? `cursor=${encodeURIComponent(cursor)}` : `startIndex=${seen.size + 1}`;
    const answer = await get(app, `/${kind}?${place}&count=${page_size}`);
    const rows = list(answer?.["Resources"]);
    const fresh = rows.filter((row) => !seen.has(text(row["id"]) ?? ""));
    for (const row of fresh) seen.set(text(row["id"]) ?? "", row);
    const next = text(answer?.["nextCursor"]);
    const total = Number(answer?.["totalResults"] ?? 0);
    if (fresh.length === 0 || (app.paging === "cursor" ? next === null : seen.size >= total)) break;
    cursor = next ?? "";
  }
  return [...seen.values()];
}

/** Every account of an app. */
export async function readAccounts(app: Address): Promise<readonly SeenAccount[]> {
  return (await all(app, "Users")).map(account);
}

/** The account with a user name, whatever its state; null when there is none, an error when there are two. */
export async function readAccount(app: Address, userName: string): Promise<SeenAccount | null> {
  const filter = encodeURIComponent(`userName eq ${JSON.stringify(userName)}`);
  const answer = await get(app, `/Users?filter=${filter}`);
  const rows = list(answer?.["Resources"]).map(account);
  if (rows.length > 1) throw new Error(`${app.url} has ${rows.length} accounts named ${userName}`);
  return rows[0] ?? null;
}

/** An app's group by its name, with the ids of its members; null when there is none. */
export async function readGroup(app: Address, name: string): Promise<SeenGroup | null> {
  const found = (await all(app, "Groups")).find((group) => group["displayName"] === name);
  if (found === undefined) return null;
  const id = text(found["id"]) ?? "";
  const whole = await get(app, `/Groups/${encodeURIComponent(id)}`);
  const members = list(whole?.["members"]).flatMap((member) => text(member["value"]) ?? []);
  return { id, name, members };
}

function account(row: Json): SeenAccount {
  const extension = (row[enterprise] ?? {}) as Json;
  const manager = extension["manager"];
  return {
    id: text(row["id"]) ?? "",
    userName: text(row["userName"]) ?? "",
    active: row["active"] === true || row["active"] === "true",
    title: text(row["title"]),
    department: text(extension["department"]),
    manager: text(manager) ?? text((manager as Json | undefined)?.["value"]),
    roles: list(row["roles"]).flatMap((role) => text(role["value"]) ?? []),
    raw: row,
  };
}

function list(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as Json[]) : [];
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
