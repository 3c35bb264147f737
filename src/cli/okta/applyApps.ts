/** Makes and changes apps, and gives them to groups (see apply.ts). */
import type { Value } from "../../core/types.ts";
import { type Applying, appId, attempt, groupId, inHalves } from "./applying.ts";
import { inLanes } from "./lanes.ts";
import { type App, fold, isTree, type Lines, type Tree } from "./organisation.ts";
import type { Steps } from "./plan.ts";
import { type AppChange, changeOf } from "./planApp.ts";
import { readOneApp } from "./readApps.ts";
import { unnamed } from "./reading.ts";
import { newTally } from "./tally.ts";

const paused_why = "brought over from Okta: nothing is called here until the app is connected";
/** Why an app is paused while it is made: whoever finds it so knows that it was cut off, and makes it whole. */
export const unfinished_why = "being brought over from Okta: if that was cut off, run tenure okta-import again";

/** Makes or changes one app; its parts one by one, so that one that is refused leaves the others. */
export async function applyApp(applying: Applying, change: AppChange): Promise<void> {
  if (!change.created && !change.unfinished) {
    return writeParts(applying, appId(applying, change.app.label), change);
  }
  const { id, kind } = change.created
    ? await create(applying, change.app)
    : { id: appId(applying, change.app.label), kind: change.app.kind };
  applying.ours.ids.apps.set(fold(change.app.label), id);
  // Now its defaults are known: what they say already need not be said, and what they say besides is taken away.
  const now = await readOneApp(applying.ours.reading, id);
  const rest = changeOf(change.app, now, newTally().tally);
  await writeParts(applying, id, { ...rest, body: !change.created && rest.body }, now.attributes);
  if (kind !== "none") await pause(applying, id, paused_why);
}

const pause = ({ client }: Applying, id: string, reason: string) =>
  client.send("POST", `/admin/v1/apps/${id}/pause`, { reason });

/** Makes an app that is switched off and paused: nobody has it yet, and nothing is called. */
async function create(applying: Applying, app: App): Promise<Readonly<{ id: string; kind: string }>> {
  const { client } = applying;
  const make = (name: string | null) =>
    client.send<Tree>(
      "POST",
      "/api/v1/apps",
      { ...app.body, label: app.label, ...(name === null ? {} : { name }), ...modeOf(app) },
      { activate: false },
    );
  let made = await make(app.kind === "none" ? app.name : (app.name ?? app.kind));
  if (made["kind"] !== app.kind && app.kind !== "none") {
    // A name of Okta's catalogue that says nothing of provisioning here.
    await client.send("DELETE", `/api/v1/apps/${String(made["id"])}`);
    made = await make(app.kind);
  }
  const [id, kind] = [String(made["id"]), String(made["kind"])];
  if (kind !== "none") await pause(applying, id, unfinished_why);
  return { id, kind };
}

const modeOf = ({ mode }: App) => (mode === null ? {} : { signOnMode: mode });

/** `made`: the attributes that the app was made with; it is to have theirs and no others. */
async function writeParts(applying: Applying, id: string, change: AppChange, made?: App["attributes"]): Promise<void> {
  const { client } = applying;
  const { app } = change;
  const path = `/api/v1/apps/${id}`;
  const part = (work: () => Promise<unknown>) => attempt(applying, "app", app.label, work, false);
  if (change.body) await part(() => replaceBody(applying, path, app));
  if (change.address) {
    const body = { baseUrl: app.address, profile: { authScheme: "TOKEN" } };
    await part(() => client.send("POST", `${path}/connections/default`, body));
  }
  const schema = `/api/v1/meta/schemas/apps/${id}/default`;
  const define = (properties: unknown) => client.send("POST", schema, { definitions: { custom: { properties } } });
  await inHalves(applying, "app attribute", Object.entries(change.attributes), {
    name: ([name]) => `${app.label}: ${name}`,
    work: (some) => define(Object.fromEntries(some)),
  });
  await writeLines(applying, id, { app, direction: "to_app", changed: change.to_app, made });
  await writeLines(applying, id, { app, direction: "to_user", changed: change.to_user, made });
  const gone = Object.keys(made ?? {}).filter((name) => !Object.hasOwn(app.attributes, name) && name !== "userName");
  if (gone.length > 0) {
    await part(() => define(Object.fromEntries(gone.map((name) => [name, null]))));
  }
  if (change.provisioning) {
    await part(() => client.send("PUT", `${path}/features/USER_PROVISIONING`, app.provisioning));
  }
  if (change.sourcing) {
    const body = { importRules: { userCreateAndMatch: app.sourcing } };
    await part(() => client.send("PUT", `${path}/features/INBOUND_PROVISIONING`, body));
  }
}

/** Switches apps on and off, last of all: until then nobody's accounts in a new app are computed, and then once. */
export async function turnApps(applying: Applying, apps: Steps["apps"]): Promise<void> {
  await inLanes(apps, 1, applying.stop, async ({ app, status }) => {
    const id = applying.ours.ids.apps.get(fold(app.label));
    if (!status || id === undefined) return;
    const turn = app.status === "ACTIVE" ? "activate" : "deactivate";
    const path = `/api/v1/apps/${id}/lifecycle/${turn}`;
    await attempt(applying, "app", app.label, () => applying.client.send("POST", path), false);
  });
}

/** A replacement says everything: what is here, with what they say laid over it. */
async function replaceBody({ client }: Applying, path: string, app: App): Promise<void> {
  const now = await client.get<Tree>(path);
  const names = ["accessibility", "visibility", "credentials", "settings", "profile"];
  const parts = Object.fromEntries(names.flatMap((name) => (now[name] === undefined ? [] : [[name, now[name]]])));
  const body = laid(parts as Tree, app.body);
  await client.send("PUT", path, { ...(body as Tree), label: app.label, ...modeOf(app) });
}

function laid(ours: Value, theirs: Value): Value {
  if (!isTree(ours) || !isTree(theirs)) return theirs;
  const merged = new Map<string, Value>(Object.entries(ours));
  for (const [name, value] of Object.entries(theirs)) merged.set(name, laid(merged.get(name) ?? null, value));
  return Object.fromEntries(merged);
}

type Writing = Readonly<{
  app: App;
  direction: "to_app" | "to_user";
  changed: Lines;
  made: App["attributes"] | undefined;
}>;

/** `made`: there are to be all lines of theirs and no others; else those that are changed, beside what is here. */
async function writeLines(applying: Applying, id: string, { app, direction, changed, made }: Writing): Promise<void> {
  const whole = made !== undefined;
  const lines = Object.entries(whole ? app[direction] : changed);
  if (!whole && lines.length === 0) return;
  const { client, ours } = applying;
  const path = `/admin/v1/apps/${id}/mappings/${direction}`;
  const lineOf = ({ expression, push, when_empty, fallback }: Lines[string]) => ({
    expression: unnamed(ours.ids, expression),
    push: push ? "always" : "create",
    ...(when_empty === undefined ? {} : { when_empty }),
    ...(fallback === undefined ? {} : { default: fallback }),
  });
  type Stored = Readonly<{ id: string | null; lines: Readonly<Record<string, unknown>> }>;
  const before = await client.get<Stored>(path);
  // A source that was never asked for its attributes has no mapping, and with no lines it needs none.
  if (before.id === null && lines.length === 0) return;
  // What an app requires keeps the line that it has from the beginning, where theirs has none that can be used.
  const required = (name: string) => [app.attributes, made].some((some) => some?.[name]?.["required"] === true);
  const needs = Object.entries(before.lines).filter(([name]) => !whole || required(name));
  let kept: Record<string, unknown> = Object.fromEntries(needs);
  const put = async (next: Record<string, unknown>) => {
    await client.send("PUT", path, { lines: next });
    kept = next;
  };
  if (lines.length === 0) await attempt(applying, "app", app.label, () => put(kept), false);
  await inHalves(applying, "mapping line", lines, {
    name: ([name]) => `${app.label}: ${name}`,
    work: (some) => put({ ...kept, ...Object.fromEntries(some.map(([name, line]) => [name, lineOf(line)])) }),
  });
}

/** Gives an app to its groups, the first first, so that each takes its place after those before it. */
export async function applyAppGroups(
  applying: Applying,
  { label, groups }: Steps["app_groups"][number],
): Promise<void> {
  for (const { group, priority, profile } of groups) {
    await attempt(applying, "app group", `${group} for ${label}`, () => {
      const path = `/api/v1/apps/${appId(applying, label)}/groups/${groupId(applying, group)}`;
      return applying.client.send("PUT", path, { priority, profile });
    });
  }
}
