/**
 * The public keys of OAuth clients (`settings.oauthClient.jwks.keys` of what the API keeps of an app), one by one. The
 * list is part of the app's settings, so that reading the app and replacing it show and change the same keys.
 *
 * Laws: a key's id (`kid`) is the client's only one of that name; a key is deleted only when it is switched off.
 * Called by the server (okta/clientKeys.ts); tokens are checked against them by `clientOf` (clients.ts).
 */
import type { PublicJwk } from "../core/jwk.ts";
import type { Refusal, Value } from "../core/types.ts";
import { isRefusal, json, sql } from "../store/database.ts";
import type { App } from "./apps.ts";
import { type Command, log, type Running, run } from "./command.ts";

/** A key as it is kept; one that came with the app's settings may have no id, status and times. */
export type ClientKey = PublicJwk;

const keys_max = 50;
const path = ["settings", "oauthClient", "jwks", "keys"];

/** The keys of a client, as they are kept. */
export function keysOf(app: Pick<App, "settings">): readonly ClientKey[] {
  const found = path.reduce<Value | undefined>((at, name) => memberOf(at, name), app.settings as Value);
  return Array.isArray(found) ? (found as ClientKey[]) : [];
}

function memberOf(at: Value | undefined, name: string): Value | undefined {
  if (typeof at !== "object" || at === null || Array.isArray(at)) return undefined;
  return Object.hasOwn(at, name) ? (at as Readonly<Record<string, Value>>)[name] : undefined;
}

/** What a key is called in paths: its own id, or the one it was given here. */
export const nameOf = (key: ClientKey) => String(key["id"] ?? key["kid"] ?? "");

/** Adds a key. Refuses one whose kid is taken. */
export function addClientKey(command: Command, app_id: string, given: PublicJwk): Promise<ClientKey | Refusal> {
  return change(command, app_id, "create", async (running, keys) => {
    if (keys.length >= keys_max) return refuse("too_large", `a client shows ${keys_max} keys at most`);
    const { rows } = await sql<{ id: string; kid: string }>`select new_id('pks') as id, new_kid() as kid`.execute(
      running.db,
    );
    const kid = given["kid"] ?? rows[0]?.kid ?? "";
    if (keys.some((one) => one["kid"] === kid))
      return refuse("duplicate", `the client has a key ${String(kid)} already`);
    const at = running.now().toISOString();
    const key: ClientKey = {
      ...{ use: "sig", ...given, kid, id: rows[0]?.id ?? "" },
      ...{ status: given["status"] === "INACTIVE" ? "INACTIVE" : "ACTIVE", created: at, lastUpdated: at },
    };
    return { keys: [...keys, key], key };
  });
}

/** Switches a key on or off. */
export function switchClientKey(
  command: Command,
  app_id: string,
  name: string,
  status: "ACTIVE" | "INACTIVE",
): Promise<ClientKey | Refusal> {
  return change(command, app_id, status === "ACTIVE" ? "activate" : "deactivate", async (running, keys) => {
    const before = keys.find((one) => nameOf(one) === name);
    if (before === undefined) return refuse("not_found", `there is no key ${name}`);
    const key = { ...before, status, lastUpdated: running.now().toISOString() };
    return { keys: keys.map((one) => (one === before ? key : one)), key };
  });
}

/** Deletes a key that is switched off. */
export function deleteClientKey(command: Command, app_id: string, name: string): Promise<ClientKey | Refusal> {
  return change(command, app_id, "delete", async (_, keys) => {
    const key = keys.find((one) => nameOf(one) === name);
    if (key === undefined) return refuse("not_found", `there is no key ${name}`);
    if (key["status"] !== "INACTIVE") return refuse("invalid", "an active key is not deleted: deactivate it first");
    return { keys: keys.filter((one) => one !== key), key };
  });
}

const refuse = (code: Refusal["code"], refused: string): Refusal => ({ refused, code, place: "jwks" });

type Changed = Readonly<{ keys: readonly ClientKey[]; key: ClientKey }>;

function change(
  command: Command,
  app_id: string,
  verb: string,
  work: (running: Running, keys: readonly ClientKey[]) => Promise<Changed | Refusal>,
): Promise<ClientKey | Refusal> {
  return run<ClientKey>(command, async (running) => {
    const app = await running.db.selectFrom("apps").selectAll().where("id", "=", app_id).forUpdate().executeTakeFirst();
    if (app === undefined) return { refused: `there is no app ${app_id}`, code: "not_found", place: app_id };
    const changed = await work(running, keysOf(app));
    if (isRefusal(changed)) return changed;
    const settings = withMember(app.settings as Value, path, changed.keys as unknown as Value);
    await running.db
      .updateTable("apps")
      .set({ settings: json(settings), updated_at: running.now() })
      .where("id", "=", app_id)
      .execute();
    await log(running, {
      type: `app.oauth2.credentials.lifecycle.${verb}`,
      app_id,
      targets: [
        { id: app_id, type: "AppInstance", name: app.label },
        { id: nameOf(changed.key), type: "AppKey", name: String(changed.key["kid"] ?? "") },
      ],
    });
    return changed.key;
  });
}

/** `tree` with a value at a path of members. */
function withMember(tree: Value | undefined, [name, ...rest]: readonly string[], value: Value): Value {
  const object = typeof tree === "object" && tree !== null && !Array.isArray(tree) ? tree : {};
  if (name === undefined) return value;
  return { ...object, [name]: rest.length === 0 ? value : withMember(memberOf(object as Value, name), rest, value) };
}
