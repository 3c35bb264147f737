/** Reads apps through Okta's API (see read.ts): what they are, how they are provisioned, who has them. */
import type { Value } from "../../core/types.ts";
import { inLanes } from "./lanes.ts";
import {
  type App,
  type AppGroup,
  type AppUser,
  canonicalTree,
  fold,
  inOrder,
  isTree,
  type Line,
  type Lines,
  type Push,
  type Tree,
} from "./organisation.ts";
import {
  all,
  at,
  attributesOf,
  eachPage,
  lanes,
  maybe,
  named,
  orUnseen,
  type Reading,
  text,
  unique,
} from "./reading.ts";

/** Apps that are Okta itself. */
const okta_itself = new Set([
  ...["saasure", "okta_enduser", "okta_browser_plugin", "okta_iga_reviewer", "okta_atspoke_sso", "flow"],
  ...["okta_flow_sso", "okta_access_requests_resource_catalog", "okta_iga"],
]);

/** Reads each of the apps whose bodies were listed. */
export async function readApps(reading: Reading, bodies: readonly Tree[]): Promise<App[]> {
  const label = (body: Tree) => text(body["label"]);
  const kept = unique(reading, "app", bodies.filter(isCarried(reading)), (body) => fold(label(body)), label);
  for (const body of kept) reading.ids.apps.set(fold(label(body)), text(body["id"]));
  const mappings = await readMappings(reading);
  let done = 0;
  const apps = await inLanes(kept, lanes, reading.stop, async (body) => {
    const work = async () => [await readApp(reading, body, mappings.get(text(body["id"])))];
    // Half of an app would pass for all of it: one without a connector, or one that nobody has.
    const app = await orUnseen(reading, { kind: "app", name: label(body) }, work, []);
    reading.tell("reading apps", ++done, kept.length);
    return app;
  });
  return apps.flat().toSorted((a, b) => inOrder(a.label, b.label));
}

/** Reads one app again. */
export async function readOneApp(reading: Reading, id: string): Promise<App> {
  const body = await reading.client.get<Tree>(`/api/v1/apps/${id}`);
  const mappings = await readMappings(reading, id);
  return readApp(reading, body, mappings.get(id));
}

const isCarried =
  ({ lacks }: Reading) =>
  (body: Tree): boolean => {
    const [name, label] = [text(body["name"]), text(body["label"])];
    if (body["status"] === "DELETED" || okta_itself.has(name)) return false;
    if (!/^(active_directory|ldap)/.test(name)) return true;
    const why = "a directory with an agent of Okta's: connect it here as a source of its own";
    lacks.push({ kind: "app", name: label, why });
    return false;
  };

/** Ids of mappings: to an app and from it, of the standard type of people. */
type MappingIds = Readonly<{ to_app?: string; to_user?: string }>;

async function readMappings(reading: Reading, app_id?: string): Promise<ReadonlyMap<string, MappingIds>> {
  const found = new Map<string, MappingIds>();
  const path = "/api/v1/mappings";
  const lists =
    app_id === undefined
      ? [await all(reading, path, { limit: 200 })]
      : [
          await reading.client.get<Tree[]>(path, { sourceId: app_id }),
          await reading.client.get<Tree[]>(path, { targetId: app_id }),
        ];
  for (const body of lists.flat()) {
    const to_app = at(body, "source", "type") === "user";
    const [app, user] = to_app ? ["target", "source"] : ["source", "target"];
    if (at(body, app ?? "", "type") !== "appuser" || at(body, user ?? "", "type") !== "user") continue;
    const id = text(at(body, app ?? "", "id"));
    const type = reading.type_names.get(text(at(body, user ?? "", "id"))) ?? "user";
    if (type !== "user") {
      const why = `people of the type ${type} have a mapping of their own there; here an app has one for all types`;
      if (to_app) reading.lacks.push({ kind: "mapping line", name: reading.labels.get(id) ?? id, why });
      continue;
    }
    found.set(id, { ...found.get(id), [to_app ? "to_app" : "to_user"]: text(body["id"]) });
  }
  return found;
}

async function readApp(reading: Reading, body: Tree, mappings: MappingIds = {}): Promise<App> {
  const { client } = reading;
  const [id, label, name] = [text(body["id"]), text(body["label"]), text(body["name"])];
  const path = `/api/v1/apps/${id}`;
  // Ours says which connector an app has; of theirs it is known only that it can be provisioned.
  const told = typeof body["kind"] === "string" ? body["kind"] : undefined;
  const features = told === "none" ? undefined : await maybe(() => client.get<readonly Tree[]>(`${path}/features`));
  const kind = told ?? (features === undefined ? "none" : "scim");
  const connection = kind === "none" ? undefined : await maybe(() => client.get<Tree>(`${path}/connections/default`));
  if (kind !== "none" && connection?.["status"] !== "ENABLED") reading.ids.waiting.add(fold(label));
  const schema = await maybe(() => client.get<Tree>(`/api/v1/meta/schemas/apps/${id}/default`));
  const attributes = appAttributes(schema ?? {});
  // Theirs are called after the organisation and the label; only a custom app signs in by itself.
  const theirs_made = told === undefined && body["signOnMode"] === "AUTO_LOGIN" && /_[0-9]+$/.test(name);
  const custom = theirs_made || /^tenure_[a-z0-9]+_[0-9]+$/.test(name);
  const app: App = {
    ...{ label, name: custom ? null : name, kind, status: text(body["status"]) },
    mode: typeof body["signOnMode"] === "string" ? body["signOnMode"] : null,
    body: bodyOf(reading, body, { label, kind, custom, theirs: told === undefined }),
    address: text(connection?.["baseUrl"]) || null,
    provisioning: provisioningOf(features),
    sourcing: sourcingOf(body, features, told === undefined),
    attributes,
    to_app: withUserName(reading, body, label, attributes, await readLines(reading, mappings.to_app)),
    to_user: await readLines(reading, mappings.to_user),
    groups: await readAppGroups(reading, label, path),
    people: await readAppUsers(reading, path, attributes),
    pushes: kind === "none" ? [] : await readPushes(reading, label, path),
  };
  return app;
}

/** What of the body goes back in a request, without secrets and without what only Okta's own ids mean. */
function bodyOf(
  { lacks }: Reading,
  body: Tree,
  { label, kind, custom, theirs }: Readonly<{ label: string; kind: string; custom: boolean; theirs: boolean }>,
): Tree {
  const part = (name: string) => (isTree(body[name]) ? body[name] : {});
  const { signing: _signing, password: _password, oauthClient, ...credentials } = part("credentials");
  const { client_secret: _secret, ...client } = isTree(oauthClient) ? oauthClient : {};
  const { appLinks, ...visibility } = part("visibility");
  const { app: own, signOn, ...settings } = part("settings");
  const { inlineHooks, ...sign_on } = isTree(signOn) ? signOn : {};
  if (Array.isArray(inlineHooks) && inlineHooks.length > 0) {
    lacks.push({ kind: "app", name: label, why: "its inline hooks are not carried over: set them up again here" });
  }
  const { baseUrl: _base, base_url: _address, ...config } = isTree(own) ? own : {};
  const named = Object.keys(canonicalTree(config));
  const foreign = theirs && kind !== "none" && named.length > 0;
  if (foreign) {
    const why = `settings of its own are not carried over, because it is connected here: ${named.join(", ")}`;
    lacks.push({ kind: "app", name: label, why });
  }
  // Links are called after the app's name, which may be made anew here: what is shown as it is anyway need not be said.
  const hidden = isTree(appLinks) ? Object.entries(appLinks).filter(([, shown]) => shown !== true) : [];
  const linked = !custom && kind === "none" && hidden.length > 0;
  return canonicalTree({
    accessibility: part("accessibility"),
    visibility: { ...visibility, ...(linked ? { appLinks: Object.fromEntries(hidden) } : {}) },
    credentials: { ...credentials, oauthClient: client },
    settings: { ...settings, ...(isTree(signOn) ? { signOn: sign_on } : {}), ...(foreign ? {} : { app: config }) },
    profile: part("profile"),
  });
}

const feature = (features: readonly Tree[] | undefined, name: string) => features?.find((one) => one["name"] === name);

function provisioningOf(features: readonly Tree[] | undefined): Tree | null {
  const found = feature(features, "USER_PROVISIONING");
  if (found === undefined) return null;
  const { create, update } = canonicalTree(found["capabilities"]);
  const { password, ...rest } = isTree(update) ? update : {};
  const { status, seed } = isTree(password) ? password : ({} as Tree);
  const pushed = status === "ENABLED" ? { status, ...(seed === undefined ? {} : { seed }) } : { status: "DISABLED" };
  return canonicalTree({ create: create ?? null, update: { ...rest, password: pushed } });
}

/** At Okta every app that can be imported from has the feature; only one that people's profiles come from is a source. */
function sourcingOf(body: Tree, features: readonly Tree[] | undefined, theirs: boolean): Tree | null {
  const found = feature(features, "INBOUND_PROVISIONING");
  const masters = Array.isArray(body["features"]) && body["features"].includes("PROFILE_MASTERING");
  const on = theirs ? masters : found?.["status"] === "ENABLED";
  const rules = found === undefined ? undefined : at(found, "capabilities", "importRules", "userCreateAndMatch");
  if (!on || !isTree(rules)) return null;
  const { exactMatchCriteria = null, autoConfirmExactMatch = null, autoActivateNewUsers = null } = rules;
  return canonicalTree({ exactMatchCriteria, autoConfirmExactMatch, autoActivateNewUsers });
}

const attribute_names = [
  ...["title", "description", "type", "items", "enum", "required", "minLength", "maxLength", "pattern", "format"],
  ...["unique", "mutability", "externalName", "externalNamespace", "union"],
];

/** What is kept of an app's attributes: what decides about values, and not who may see them in a page of Okta's. */
function appAttributes(schema: Tree): Record<string, Tree> {
  const { base, custom } = attributesOf(schema, attribute_names);
  const both = Object.entries({ ...base, ...custom }).toSorted(([a], [b]) => inOrder(a, b));
  return Object.fromEntries(
    both.map(([name, { format, unique, mutability, enum: listed, items, ...rest }]) => {
      const values = isTree(items) ? { items: { type: items["type"] ?? null, enum: items["enum"] ?? null } } : {};
      return [
        name,
        canonicalTree({
          ...rest,
          ...values,
          ...(listed === undefined || rest["type"] === "array" ? {} : { enum: listed }),
          ...(format === "date" || format === "date-time" ? { format: "date-time" } : {}),
          ...(unique === "UNIQUE_VALIDATED" || unique === true ? { unique: "UNIQUE_VALIDATED" } : {}),
          ...(mutability === "IMMUTABLE" || mutability === "READ_ONLY" ? { mutability } : {}),
        }),
      ];
    }),
  );
}

async function readLines(reading: Reading, id: string | undefined): Promise<Lines> {
  if (id === undefined) return {};
  const body = await reading.client.get<Tree>(`/api/v1/mappings/${encodeURIComponent(id)}`);
  const properties = isTree(body["properties"]) ? body["properties"] : {};
  const lines = Object.keys(properties)
    .sort(inOrder)
    .flatMap((name): [string, Line][] => {
      const line = properties[name];
      if (!isTree(line) || text(line["expression"]) === "") return [];
      const { whenEmpty, default: fallback } = line;
      return [
        [
          name,
          {
            expression: named(reading, text(line["expression"])),
            push: line["pushStatus"] !== "DONT_PUSH",
            ...(typeof whenEmpty === "string" ? { when_empty: whenEmpty } : {}),
            ...(fallback === undefined ? {} : { fallback: fallback as Value }),
          },
        ],
      ];
    });
  return Object.fromEntries(lines);
}

/** Okta keeps apart how a user name is made; here it is a line of the mapping like any other. */
function withUserName(
  { lacks }: Reading,
  body: Tree,
  label: string,
  attributes: Readonly<Record<string, Tree>>,
  lines: Lines,
): Lines {
  if (lines["userName"] !== undefined || attributes["userName"] === undefined) return lines;
  const template = text(at(body, "credentials", "userNameTemplate", "template"));
  const plain = /^\$\{\s*(?:source|user)\.([A-Za-z_]\w*)\s*\}$/.exec(template)?.[1];
  if (plain !== undefined) return { ...lines, userName: { expression: `user.${plain}`, push: true } };
  // The other form that Okta offers ready-made: what stands before the @.
  const prefix = /^\$\{\s*fn:substringBefore\(\s*(?:source|user)\.(login|email)\s*,\s*"@"\s*\)\s*\}$/.exec(
    template,
  )?.[1];
  if (prefix !== undefined) {
    return { ...lines, userName: { expression: `String.substringBefore(user.${prefix}, "@")`, push: true } };
  }
  if (template !== "") {
    const why = `user names are made by ${template}: write a line for userName; until then each has the name that they have`;
    lacks.push({ kind: "mapping line", name: `${label}: userName`, why });
  }
  return lines;
}

/** The first group first: only their order says anything. */
async function readAppGroups(reading: Reading, label: string, path: string): Promise<AppGroup[]> {
  const found = await all(reading, `${path}/groups`, { limit: 200 });
  const rows = found.map((one) => ({
    group: reading.keys.get(text(one["id"])),
    priority: Number(one["priority"] ?? 0),
    profile: canonicalTree(one["profile"]),
  }));
  for (const { group } of rows) {
    if (group !== undefined) continue;
    reading.lacks.push({ kind: "app group", name: label, why: "a group that is not in the list of groups has it" });
  }
  return rows
    .flatMap(({ group, priority, profile }) => (group === undefined ? [] : [{ group, priority, profile }]))
    .toSorted((a, b) => a.priority - b.priority || inOrder(a.group, b.group))
    .map(({ group, profile }) => ({ group, profile }));
}

const is_over = new Set(["DEPROVISIONED", "INACTIVE", "UNASSIGNED", "REVOKED"]);

async function readAppUsers(
  reading: Reading,
  path: string,
  attributes: Readonly<Record<string, Tree>>,
): Promise<AppUser[]> {
  const people: AppUser[] = [];
  await eachPage(reading, `${path}/users`, { limit: 500 }, (items) => {
    for (const one of items) {
      const login = reading.logins.get(text(one["id"]));
      if (login === undefined || is_over.has(text(one["status"]))) continue;
      const name = text(at(one, "credentials", "userName"));
      const profile = canonicalTree(one["profile"]);
      const unsaid = name !== "" && attributes["userName"] !== undefined && profile["userName"] === undefined;
      people.push({
        ...{ login, scope: one["scope"] === "GROUP" ? "GROUP" : "USER", external_id: text(one["externalId"]) || null },
        profile: unsaid ? canonicalTree({ ...profile, userName: name }) : profile,
      });
    }
  });
  return people.sort((a, b) => inOrder(a.login, b.login));
}

async function readPushes(reading: Reading, label: string, path: string): Promise<Push[]> {
  const found = (await maybe(() => all(reading, `${path}/group-push/mappings`, { limit: 1_000 }))) ?? [];
  return found
    .flatMap((one): Push[] => {
      const group = reading.keys.get(text(one["sourceGroupId"]));
      if (group === undefined) return [];
      reading.ids.pushes.set(`${fold(label)} ${group}`, text(one["id"]));
      const target = text(one["targetGroupId"]);
      // Theirs is a group of their own directory, known here by its name; ours the app's own id.
      const known = reading.keys.get(target);
      const target_name = known === undefined ? undefined : known.slice(known.indexOf(":") + 1);
      return [
        {
          ...{ group, status: one["status"] === "INACTIVE" ? "INACTIVE" : "ACTIVE" },
          ...(target_name !== undefined
            ? { target_name: target_name.replace(/ \([^()]*\)$/, "") }
            : target === ""
              ? {}
              : { target_id: target }),
        },
      ];
    })
    .toSorted((a, b) => inOrder(a.group, b.group));
}
