/**
 * Apps: the external systems, in either direction. Commands make, change, switch on and off, and delete them, and mark
 * whom that concerns, so that turning provisioning on finds and links everyone who was assigned before.
 *
 * Laws: credentials are sealed apart from the row and never read back out; they are not sent to another address than
 * the one they were given for; an app is deleted only when it is switched off (Okta E0000056). What connectors know
 * about their configuration comes in as a function, because the directory does not import connectors.
 *
 * `kind` names the connector; "none" is an app for sign-on only: assigning it is all there is.
 */
import { type Selectable, sql } from "kysely";
import type { Attribute, Capabilities, Outcome, Refusal, Value } from "../core/types.ts";
import { type Database, isRefusal, json, violatedUnique } from "../store/database.ts";
import { dropSecret, dropSecretsOf, getSecret, type Key, putSecret, type SecretPlace } from "../store/secrets.ts";
import type { AppRow, Provisioning, Sourcing, Target } from "../store/tables.ts";
import { retryAfterChange } from "./appHealth.ts";
import { freeName, nameProblem } from "./appNames.ts";
import { type Command, log, priority, type Running, run } from "./command.ts";
import { defaultLines, plainAttributes } from "./defaultMapping.ts";
import { importHookProblem } from "./inlineHooks.ts";
import { markDirtyWhere } from "./marks.ts";
import { judgeMatchAttribute } from "./matchAttribute.ts";
import { rowsOf } from "./pages.ts";
import { changeProvisioning, changeSourcing, provisioningDefaults, sourcingDefaults } from "./provisioning.ts";
import { markAccountsDue, markAppDirty } from "./reach.ts";
import { putAppSchema } from "./schemas.ts";
import { judgeNames } from "./sourceNames.ts";

export type App = Selectable<AppRow>;
export type Config = Readonly<Record<string, Value>>;

/**
 * A configuration that a connector's own check has taken apart. `destination`: where the credentials are sent (origin or
 * host), if they are. `attributes`: the app's schema, when it is known before the app is asked.
 */
export type CheckedConfig = Readonly<{
  config: Config;
  credentials: Config;
  can: Capabilities;
  attributes?: readonly Attribute[];
  destination?: string;
}>;

/** A connector's check of the whole configuration, secret fields included; refuses an unknown kind. Touches nothing. */
export type CheckConfig = (kind: string, given: Config) => Outcome<CheckedConfig>;

/** What main.ts gives to the commands that handle configuration. */
export type AppTools = Readonly<{ key: Key; check: CheckConfig }>;

export type NewApp = Readonly<{
  label: string;
  kind: string;
  /** Okta's app name; made from the label if absent. Expressions call the app's accounts by it. */
  name?: string;
  /** Plain and secret fields together, as the connector's form has them. */
  config?: Config;
  /** What the API keeps for its clients (sign-on mode, visibility, notes …); nothing here reads it. */
  settings?: Config;
  provisioning?: Readonly<Partial<Provisioning>>;
  sourcing?: Readonly<Partial<Sourcing>> | null;
  source_priority?: number;
  active?: boolean;
}>;

/** `config` and `settings` replace what was there, but a secret field that is absent keeps its value and null drops it. */
export type AppChange = Readonly<{
  label?: string;
  config?: Config;
  settings?: Config;
  provisioning?: Readonly<Partial<Provisioning>>;
  sourcing?: Readonly<Partial<Sourcing>> | null;
  source_priority?: number | null;
  /** One of the app's keys (appKeys.ts): what sign-on signs with from now on. */
  signing_kid?: string;
}>;

const place = (app_id: string): SecretPlace => ({ table: "apps", row: app_id, column: "credentials" });
const target = (app: Readonly<{ id: string; label: string }>): Target => ({
  id: app.id,
  type: "AppInstance",
  name: app.label,
});
const missing = (app_id: string): Refusal => ({
  refused: `there is no app ${app_id.slice(0, 100)}`,
  code: "not_found",
});

/** Makes an app with its schema, default mapping and sealed credentials. Refuses a label that is taken. */
export function createApp(command: Command, input: NewApp, tools: AppTools): Promise<App | Refusal> {
  return unlessTaken(input.label, () =>
    run<App>(command, async (running) => {
      const checked = input.kind === "none" ? undefined : tools.check(input.kind, input.config ?? {});
      if (checked && "refused" in checked) return checked;
      const provisioning = changeProvisioning(
        provisioningDefaults(checked?.ok.can),
        input.provisioning ?? {},
        checked?.ok.can,
      );
      if ("refused" in provisioning) return provisioning;
      const sourcing = input.sourcing ? changeSourcing(sourcingDefaults, input.sourcing) : { ok: null };
      if ("refused" in sourcing) return sourcing;
      const hook = await sourceProblem(running, null, sourcing.ok);
      if (hook) return hook;
      const labelled = labelProblem(input.label) ?? nameProblem(input.name);
      if (labelled) return labelled;
      const now = running.now();
      const app = await running.db
        .insertInto("apps")
        .values({
          name: input.name ?? (await freeName(running.db, input.label)),
          label: input.label,
          kind: input.kind,
          status: input.active === false ? "INACTIVE" : "ACTIVE",
          config: json(checked?.ok.config ?? {}),
          settings: json(input.settings ?? {}),
          provisioning: json(provisioning.ok),
          sourcing: sourcing.ok && json(sourcing.ok),
          source_priority: sourcing.ok && (input.source_priority ?? (await nextSourcePriority(running.db))),
          created_at: now,
          updated_at: now,
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      await running.db.insertInto("app_health").values({ app_id: app.id, reconcile_due_at: now }).execute();
      await keepCredentials(running, tools.key, app.id, checked?.ok.credentials ?? {});
      await log(running, {
        type: "application.lifecycle.create",
        app_id: app.id,
        targets: [target(app)],
        detail: { kind: app.kind },
      });
      const attributes = checked ? checked.ok.attributes : plainAttributes;
      if (attributes) await adoptAppSchema(running, app.id, attributes);
      return app;
    }),
  );
}

/** Changes an app. What of it concerns accounts is worked on at once: see the marks at the head of this file. */
export function updateApp(
  command: Command,
  app_id: string,
  change: AppChange,
  tools: AppTools,
): Promise<App | Refusal> {
  return unlessTaken(change.label ?? "", () =>
    run<App>(command, async (running) => {
      const before = await lockApp(running, app_id);
      if (before === undefined) return missing(app_id);
      const next = await judgeChange(running, before, change, tools);
      if (isRefusal(next)) return next;
      const app = await running.db
        .updateTable("apps")
        .set({
          label: change.label ?? before.label,
          config: json(next.config),
          settings: json(change.settings ?? before.settings),
          provisioning: json(next.provisioning),
          sourcing: next.sourcing && json(next.sourcing),
          source_priority: next.source_priority,
          signing_kid: change.signing_kid ?? before.signing_kid,
          updated_at: running.now(),
        })
        .where("id", "=", app_id)
        .returningAll()
        .executeTakeFirstOrThrow();
      if (next.credentials) await keepCredentials(running, tools.key, app_id, next.credentials);
      const seq = await tellChange(running, before, app, next.credentials !== undefined);
      const follow: Running = { ...running, cause: seq };
      if (change.config !== undefined) await retryAfterChange(follow, app_id, app.label);
      await followSwitches(follow, before.provisioning, app);
      return app;
    }),
  );
}

type NextApp = Readonly<{
  config: Config;
  /** undefined: they stay as they are. */
  credentials?: Config;
  provisioning: Provisioning;
  sourcing: Sourcing | null;
  source_priority: number | null;
}>;

async function judgeChange(
  running: Running,
  before: App,
  change: AppChange,
  tools: AppTools,
): Promise<NextApp | Refusal> {
  const refused =
    (change.label === undefined ? undefined : labelProblem(change.label)) ??
    (await keyProblem(running.db, before, change.signing_kid));
  if (refused) return refused;
  const configured = await judgeConfig(running, before, change, tools);
  if (configured && "refused" in configured) return configured;
  const unmatched = await judgeMatchAttribute(running, before.id, change.provisioning);
  if (unmatched) return unmatched;
  const provisioning = changeProvisioning(before.provisioning, change.provisioning ?? {}, configured?.ok.can);
  if ("refused" in provisioning) return provisioning;
  const sourcing =
    change.sourcing === undefined
      ? { ok: before.sourcing }
      : change.sourcing === null
        ? { ok: null }
        : changeSourcing(before.sourcing, change.sourcing);
  if ("refused" in sourcing) return sourcing;
  const hook = await sourceProblem(running, before.sourcing, sourcing.ok);
  if (hook) return hook;
  const rank = change.source_priority === undefined ? before.source_priority : change.source_priority;
  return {
    config: change.config === undefined ? before.config : (configured?.ok.config ?? {}),
    ...(change.config === undefined ? {} : { credentials: configured?.ok.credentials ?? {} }),
    provisioning: provisioning.ok,
    sourcing: sourcing.ok,
    source_priority: sourcing.ok === null ? null : (rank ?? (await nextSourcePriority(running.db))),
  };
}

/** Checks the configuration as it would be. undefined: an app without connector, or nothing here needs to know. */
async function judgeConfig(
  running: Running,
  before: App,
  change: AppChange,
  tools: AppTools,
): Promise<Outcome<CheckedConfig> | undefined> {
  if (before.kind === "none") {
    if (change.config === undefined || Object.keys(change.config).length === 0) return undefined;
    return { refused: `${before.label} has no connector to configure`, code: "invalid", place: "config" };
  }
  if (change.config === undefined && change.provisioning === undefined) return undefined;
  const kept = await readCredentials(running.db, tools.key, before.id, running.now());
  const was = tools.check(before.kind, { ...before.config, ...kept });
  if (change.config === undefined) return was;
  const given = Object.fromEntries(Object.entries({ ...kept, ...change.config }).filter(([, value]) => value !== null));
  const next = tools.check(before.kind, given);
  if ("refused" in next) return next;
  const from = "ok" in was ? was.ok.destination : undefined;
  const resent = Object.keys(kept).filter((name) => !Object.hasOwn(change.config ?? {}, name));
  if (from === undefined || next.ok.destination === from || resent.length === 0) return next;
  // Else whoever may edit an app could read its credentials by pointing it at a server of their own.
  return {
    refused: `${before.label} would send its credentials to another address: give ${resent.join(", ")} again with the new one`,
    code: "invalid",
    place: `config.${resent[0]}`,
  };
}

async function tellChange(running: Running, before: App, after: App, credentials: boolean): Promise<number> {
  const fields = ["label", "config", "settings", "provisioning", "sourcing", "source_priority", "signing_kid"] as const;
  const changed = fields.filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]));
  return log(running, {
    type: "application.lifecycle.update",
    app_id: after.id,
    targets: [target(after)],
    detail: {
      changed: [...changed, ...(credentials ? ["credentials"] : [])],
      ...(changed.includes("provisioning")
        ? { before: before.provisioning as unknown as Value, after: after.provisioning as unknown as Value }
        : {}),
    },
  });
}

/** Switches that decide what accounts should be make people dirty; those that decide what is done with them, accounts due. */
async function followSwitches(running: Running, before: Provisioning, app: App): Promise<void> {
  const after = app.provisioning;
  const was = { ...before, state: before.state ?? true };
  const moved = (["create", "update", "on_unassign", "on_suspend", "state", "match_attribute"] as const).filter(
    (name) => was[name] !== after[name],
  );
  if (moved.length === 0) return;
  await markAppDirty(running, app.id);
  // Turned on after people were assigned: everyone is looked for and linked, nobody clicks (complaint 13).
  const discovers =
    (!before.create && after.create) ||
    (!before.update && after.update) ||
    moved.includes("match_attribute") ||
    (!was.state && after.state);
  if (discovers) await markAccountsDue(running, app.id, sql`a.assigned`);
}

/** Switches an app on: provisioning goes on where it stopped, for everyone it concerns. */
export function activateApp(command: Command, app_id: string): Promise<App | Refusal> {
  return switchApp(command, app_id, "ACTIVE");
}

/** Switches an app off: its accounts stay as they are, and nothing is computed or called for it. */
export function deactivateApp(command: Command, app_id: string): Promise<App | Refusal> {
  return switchApp(command, app_id, "INACTIVE");
}

function switchApp(command: Command, app_id: string, status: App["status"]): Promise<App | Refusal> {
  return run<App>(command, async (running) => {
    const before = await lockApp(running, app_id);
    if (before === undefined) return missing(app_id);
    if (before.status === status) return before;
    const app = await running.db
      .updateTable("apps")
      .set({ status, updated_at: running.now() })
      .where("id", "=", app_id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const type = status === "ACTIVE" ? "application.lifecycle.activate" : "application.lifecycle.deactivate";
    const seq = await log(running, { type, app_id, targets: [target(app)] });
    await markAppDirty(running, app_id, priority.wave, seq);
    return app;
  });
}

/**
 * Deletes an app that is switched off, with its accounts' rows (history keeps them), what it granted as a source, and
 * the groups that were imported from it. Nothing is called in the app itself.
 */
export function deleteApp(command: Command, app_id: string): Promise<App | Refusal> {
  return run<App>(command, async (running) => {
    const app = await lockApp(running, app_id);
    if (app === undefined) return missing(app_id);
    if (app.status === "ACTIVE") {
      return { refused: `${app.label} is active: deactivate it before it is deleted`, code: "illegal_transition" };
    }
    const seq = await log(running, { type: "application.lifecycle.delete", app_id, targets: [target(app)] });
    const held = sql`
      u.id in (select m.user_id from membership_grants m left join groups g on g.id = m.group_id
               where g.source_app_id = ${app_id} or (m.kind = 'import' and m.source_id = ${app_id})
               union select user_id from assignment_grants where kind = 'import' and source_id = ${app_id})`;
    await markDirtyWhere(running, held, priority.wave, seq);
    await sql`delete from membership_grants where kind = 'import' and source_id = ${app_id}`.execute(running.db);
    await sql`delete from assignment_grants where kind = 'import' and source_id = ${app_id}`.execute(running.db);
    await sql`delete from groups where source_app_id = ${app_id} and type = 'APP_GROUP'`.execute(running.db);
    await sql`delete from schemas where kind = 'app' and app_id = ${app_id}`.execute(running.db);
    await dropSecretsOf(running.db, place(app_id));
    await running.db.deleteFrom("apps").where("id", "=", app_id).execute();
    return app;
  });
}

/**
 * Takes over the attributes that an app was found or said to have. An app that has no mapping yet gets the default one;
 * otherwise people are computed again, because what may be written has changed.
 */
export function adoptAppSchema(
  command: Command,
  app_id: string,
  attributes: readonly Attribute[],
): Promise<"adopted" | Refusal> {
  return run<"adopted">(command, async (running) => {
    const stored = await putAppSchema(running, app_id, attributes);
    if (isRefusal(stored)) return stored;
    const now = running.now();
    await sql`
      insert into mappings (app_id, direction, lines, created_at, updated_at)
      values (${app_id}, 'to_app', ${json(defaultLines(attributes))}, ${now}::timestamptz, ${now}::timestamptz),
             (${app_id}, 'to_user', '{}', ${now}::timestamptz, ${now}::timestamptz)
      on conflict (app_id, direction) do nothing`.execute(running.db);
    await markAppDirty(running, app_id);
    return "adopted";
  });
}

/** Puts sources in order, the first wins. Sources that are not named follow in their old order. */
export function orderSources(command: Command, app_ids: readonly string[]): Promise<App[] | Refusal> {
  return run<App[]>(command, async (running) => {
    const sources = await running.db
      .selectFrom("apps")
      .selectAll()
      .where("sourcing", "is not", null)
      .orderBy("source_priority")
      .orderBy("id")
      .forUpdate()
      .execute();
    const known = new Set(sources.map((app) => app.id));
    const stranger = app_ids.find((id) => !known.has(id));
    if (stranger !== undefined)
      return { refused: `app ${stranger} is no source: turn its sourcing on first`, code: "invalid" };
    const order = [...new Set([...app_ids, ...known])];
    await sql`
      update apps set source_priority = o.n - 1, updated_at = ${running.now()}::timestamptz
      from unnest(${order}::text[]) with ordinality as o(id, n) where apps.id = o.id`.execute(running.db);
    await log(running, {
      type: "application.lifecycle.update",
      reason: "sources were put in order",
      detail: { order },
    });
    return running.db
      .selectFrom("apps")
      .selectAll()
      .where("sourcing", "is not", null)
      .orderBy("source_priority")
      .execute();
  });
}

/** An app by its id or, without case, its label. */
export async function appByIdOrLabel(db: Database, text: string): Promise<App | undefined> {
  const found = await sql<App>`
    select * from apps where id = ${text} or lower(label) = lower(${text})
    order by (id = ${text}) desc limit 1`.execute(db);
  return found.rows[0];
}

export type AppFilter = Readonly<{
  q?: string;
  status?: App["status"];
  kind?: string;
  name?: string;
  sources?: boolean;
  after?: string;
  limit?: number;
}>;

/** A page of apps in order of ids. `q`: the beginning of a label or name, without case. */
export async function listApps(db: Database, filter: AppFilter = {}): Promise<App[]> {
  const { q, status, kind, name, sources, after = "", limit } = filter;
  const found = await sql<App>`
    select * from apps where id > ${after}
      ${q === undefined ? sql`` : sql`and (starts_with(lower(label), lower(${q})) or starts_with(lower(name), lower(${q})))`}
      ${status === undefined ? sql`` : sql`and status = ${status}`}
      ${kind === undefined ? sql`` : sql`and kind = ${kind}`}
      ${name === undefined ? sql`` : sql`and name = ${name}`}
      ${sources ? sql`and sourcing is not null` : sql``}
    order by id limit ${rowsOf(limit)}`.execute(db);
  return found.rows;
}

/** An app's credentials in clear, for the one who builds its connector. {} when there are none. */
export async function readCredentials(db: Database, key: Key, app_id: string, now: Date): Promise<Config> {
  const text = await getSecret(db, key, place(app_id), now);
  return text === undefined ? {} : (JSON.parse(text) as Config);
}

/** What an app's connector can do as it is configured now; undefined: it has none, or its configuration is not right. */
export async function capabilitiesOf(
  db: Database,
  tools: AppTools,
  app: Pick<App, "id" | "kind" | "config">,
  now: Date,
): Promise<Capabilities | undefined> {
  if (app.kind === "none") return undefined;
  const checked = tools.check(app.kind, { ...app.config, ...(await readCredentials(db, tools.key, app.id, now)) });
  return "ok" in checked ? checked.ok.can : undefined;
}

async function keepCredentials(running: Running, key: Key, app_id: string, credentials: Config): Promise<void> {
  if (Object.keys(credentials).length === 0) await dropSecret(running.db, place(app_id));
  else await putSecret(running.db, key, place(app_id), JSON.stringify(credentials));
}

async function lockApp(running: Running, app_id: string): Promise<App | undefined> {
  return running.db.selectFrom("apps").selectAll().where("id", "=", app_id).forUpdate().executeTakeFirst();
}

function labelProblem(label: string): Refusal | undefined {
  if (label.trim() !== "" && label.length <= 100) return undefined;
  return { refused: "an app needs a label of 1 to 100 characters", code: "invalid", place: "label" };
}

/** What sign-on signs with must be a key of the app; the one it has is there, or is made when it is asked for. */
async function keyProblem(db: Database, app: App, kid: string | undefined): Promise<Refusal | undefined> {
  if (kid === undefined || kid === app.signing_kid) return undefined;
  const { rows } = await sql`select 1 from app_keys where app_id = ${app.id} and kid = ${kid}`.execute(db);
  if (rows.length > 0) return undefined;
  return {
    refused: `${app.label} has no key ${kid.slice(0, 100)}: generate one, or clone it from another app, first`,
    code: "invalid",
    place: "credentials.signing.kid",
  };
}

/** A hook that is named anew must be one that imports can ask, and lists that are filled must be there. */
async function sourceProblem(
  running: Running,
  before: Sourcing | null,
  after: Sourcing | null,
): Promise<Refusal | undefined> {
  const named = after?.import_hook ?? null;
  const hook = named === null || named === before?.import_hook ? undefined : await importHookProblem(running, named);
  return hook ?? judgeNames(running, before, after);
}

async function nextSourcePriority(db: Database): Promise<number> {
  const row = await db
    .selectFrom("apps")
    .select((e) => e.fn.max("source_priority").as("last"))
    .executeTakeFirst();
  return (row?.last ?? -1) + 1;
}

async function unlessTaken<T>(label: string, work: () => Promise<T | Refusal>): Promise<T | Refusal> {
  try {
    return await work();
  } catch (error) {
    const violated = violatedUnique(error);
    if (violated === "apps_client_id")
      return { refused: "another app has this client_id: choose another", code: "duplicate", place: "client_id" };
    if (violated !== "apps_label") throw error;
    return { refused: `there is an app "${label}" already: choose another label`, code: "duplicate", place: "label" };
  }
}
