/**
 * Reads an organisation through Okta's API, theirs or ours: the same calls, the same document (organisation.ts).
 *
 * Law: nothing is written; what cannot be read or said is told as a lack and ends nothing. Everyone and all their groups are held
 * in memory once, about two kilobytes a person: nothing else grows with the organisation.
 */
import type { Client } from "../client.ts";
import { CliError, exit_codes } from "../errors.ts";
import { inLanes } from "./lanes.ts";
import {
  canonicalTree,
  fold,
  type Group,
  groupKey,
  inOrder,
  isTree,
  type Kind,
  type Link,
  type LinkKind,
  type Members,
  type Organisation,
  type Person,
  type Rule,
  type Tree,
  type UserType,
} from "./organisation.ts";
import { readApps } from "./readApps.ts";
import {
  all,
  at,
  attributesOf,
  eachPage,
  type Ids,
  lanes,
  maybe,
  named,
  orUnseen,
  type Reading,
  text,
  unique,
} from "./reading.ts";

/** `reading`: to read a part of it again. */
export type Read = Readonly<{ organisation: Organisation; ids: Ids; reading: Reading }>;

const page_size = 200;
const members_page_size = 1_000;

/** Reads everything. */
export async function readOrganisation(client: Client, { stop, tell }: Pick<Reading, "stop" | "tell">): Promise<Read> {
  const ids: Ids = {
    ...{ types: new Map(), schemas: new Map(), groups: new Map(), people: new Map() },
    ...{ apps: new Map(), rules: new Map(), pushes: new Map(), waiting: new Set() },
  };
  const names = { labels: new Map(), logins: new Map(), keys: new Map(), type_names: new Map() };
  const reading: Reading = { client: patient(client), stop, tell, lacks: [], ids, ...names };
  const unseen = <T>(kind: Kind, name: string, work: () => Promise<readonly T[]>) =>
    orUnseen(reading, { kind, name }, work, []);
  const user_types = await readTypes(reading);
  const group_attributes = attributesOf(await reading.client.get<Tree>("/api/v1/meta/schemas/group/default")).custom;
  const app_bodies = await all(reading, "/api/v1/apps", { limit: page_size });
  for (const body of app_bodies) reading.labels.set(text(body["id"]), text(body["label"]));
  const groups = await readGroups(reading);
  const people = await readPeople(reading);
  const members = await readMembers(reading, groups);
  const link_kinds = await unseen("link kind", "all", () => readLinkKinds(reading));
  const links = await unseen("link", "all", () => readLinks(reading, link_kinds, people));
  const rules = await readRules(reading);
  const apps = await readApps(reading, app_bodies);
  const organisation: Organisation = {
    ...{ version: 1, user_types, link_kinds, group_attributes, groups, people, members, links, rules, apps },
    lacks: reading.lacks.toSorted((a, b) => inOrder(`${a.kind} ${a.name} ${a.why}`, `${b.kind} ${b.name} ${b.why}`)),
  };
  return { organisation, ids, reading };
}

const tries_max = 5;

/**
 * A client whose reads are tried again when the way to the server or the server itself fails: an hour's reading is not lost for
 * a second. What is refused is told with the place: there are two servers and many lists.
 */
function patient(client: Client): Client {
  const again = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        const away = error.exit_code === exit_codes.unreachable;
        const failed = (error.status ?? 0) >= 500 && error.status !== 501;
        // A server that is not there at all is told at once.
        if ((!away && !failed) || tries >= tries_max || error.message.includes("nothing listens")) {
          throw error.status === undefined ? error : placed(error, path);
        }
        await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tries));
      }
    }
  };
  const placed = ({ exit_code, message, status, code }: CliError, path: string) => {
    const { host, pathname } = new URL(path, client.url);
    return new CliError(exit_code, `${message} (${host}${pathname})`, status, code);
  };
  return {
    ...client,
    get: (path, query) => again(path, () => client.get(path, query)),
    page: (path, query) => again(path, () => client.page(path, query)),
  };
}

async function readTypes(reading: Reading): Promise<UserType[]> {
  const { client, ids, type_names } = reading;
  const found = await client.get<readonly Tree[]>("/api/v1/meta/types/user");
  const types: UserType[] = [];
  for (const type of found) {
    const [id, name] = [text(type["id"]), text(type["name"])];
    const links = isTree(type["_links"]) && isTree(type["_links"]["schema"]) ? type["_links"]["schema"] : {};
    const schema_id = type["default"] === true ? "default" : (text(links["href"]).split("/").at(-1) ?? "");
    const schema = await client.get<Tree>(`/api/v1/meta/schemas/user/${encodeURIComponent(schema_id)}`);
    ids.types.set(name, id);
    ids.schemas.set(name, schema_id);
    type_names.set(id, name);
    const { base, custom } = attributesOf(schema);
    const own = type["default"] === true ? baseOf(base) : {};
    const description = text(type["description"]) || null;
    const title = text(type["displayName"]);
    types.push({
      ...{ name, title, description, standard: type["default"] === true, attributes: custom },
      ...(Object.keys(own).length > 0 ? { base: own } : {}),
    });
  }
  return types.toSorted((a, b) => inOrder(a.name, b.name));
}

/** What an organisation may decide of the base attributes, where it has decided. */
function baseOf(base: Readonly<Record<string, Tree>>): Record<string, Tree> {
  const names = ["firstName", "lastName"].filter((name) => base[name] !== undefined && base[name]["required"] !== true);
  const pattern = text(base["login"]?.["pattern"]);
  return {
    ...Object.fromEntries(names.map((name) => [name, { required: false }])),
    ...(pattern === "" ? {} : { login: { pattern } }),
  };
}

async function readLinkKinds({ client }: Reading): Promise<LinkKind[]> {
  const found = (await maybe(() => client.get<readonly Tree[]>("/api/v1/meta/schemas/user/linkedObjects"))) ?? [];
  const end = (value: unknown) => {
    const { name, title, description } = isTree(value) ? value : ({} as Tree);
    return { name: text(name), title: text(title), description: text(description) };
  };
  return found
    .map((kind) => ({ primary: end(kind["primary"]), associated: end(kind["associated"]) }))
    .toSorted((a, b) => inOrder(a.primary.name, b.primary.name));
}

/** Who is linked to whom is told one person at a time: it costs a call for each of them, where links are in use at all. */
async function readLinks(reading: Reading, found: readonly LinkKind[], people: readonly Person[]): Promise<Link[]> {
  const links: Link[] = [];
  const living = people.filter(({ status }) => status !== "DEPROVISIONED");
  let done = 0;
  for (const { primary } of found) {
    const name = encodeURIComponent(primary.name);
    const some = await inLanes(living, lanes, reading.stop, async ({ login }): Promise<Link[]> => {
      const id = reading.ids.people.get(fold(login)) ?? "";
      const told = await maybe(() => reading.client.get<readonly Tree[]>(`/api/v1/users/${id}/linkedObjects/${name}`));
      reading.tell("reading links", ++done, living.length * found.length);
      return (told ?? []).flatMap((one) => {
        const self = isTree(one["_links"]) && isTree(one["_links"]["self"]) ? one["_links"]["self"] : {};
        const boss = reading.logins.get(text(self["href"]).split("/").at(-1) ?? "");
        return boss === undefined ? [] : [{ name: primary.name, associated: login, primary: boss }];
      });
    });
    links.push(...some.flat());
  }
  return links;
}

async function readGroups(reading: Reading): Promise<Group[]> {
  const found = await all(reading, "/api/v1/groups", { limit: page_size });
  const groups = found.map((body) => {
    const profile = canonicalTree(body["profile"]);
    const { name, ...rest } = profile;
    const source = isTree(body["source"]) ? text(body["source"]["id"]) : "";
    const app = reading.labels.get(source) ?? (body["type"] === "APP_GROUP" ? source : null);
    const group: Group = { type: text(body["type"]), name: text(name), app, profile: rest };
    return { id: text(body["id"]), key: groupKey(group), group };
  });
  const kept = unique(
    reading,
    "group",
    groups,
    ({ key }) => key,
    ({ key }) => key,
  );
  for (const { id, key } of kept) {
    reading.keys.set(id, key);
    reading.ids.groups.set(key, id);
  }
  return kept
    .filter(({ group }) => group.type !== "BUILT_IN")
    .toSorted((a, b) => inOrder(a.key, b.key))
    .map(({ group }) => group);
}

/** Okta leaves those who are deactivated out of the plain list. */
async function readPeople(reading: Reading): Promise<Person[]> {
  const { ids, logins, type_names } = reading;
  const people: Person[] = [];
  const take = (items: readonly Tree[]) => {
    for (const body of items) {
      const profile = canonicalTree(body["profile"]);
      const login = text(profile["login"]);
      const type = isTree(body["type"]) ? type_names.get(text(body["type"]["id"])) : undefined;
      const credentials = isTree(body["credentials"]) ? body["credentials"] : {};
      const provider = isTree(credentials["provider"]) ? credentials["provider"] : {};
      const elsewhere = provider["type"] !== undefined && provider["type"] !== "OKTA";
      ids.people.set(fold(login), text(body["id"]));
      logins.set(text(body["id"]), login);
      people.push({
        ...{ login, status: text(body["status"]), type: type ?? "user", profile },
        ...(elsewhere ? { provider: { type: text(provider["type"]), name: text(provider["name"]) } } : {}),
      });
    }
    reading.tell("reading people", people.length, null);
  };
  await eachPage(reading, "/api/v1/users", { limit: page_size }, take);
  await eachPage(reading, "/api/v1/users", { limit: page_size, filter: 'status eq "DEPROVISIONED"' }, take);
  // Somebody may have been deactivated between the two.
  const once = new Map(people.map((person) => [fold(person.login), person]));
  return [...once.values()].sort((a, b) => inOrder(a.login, b.login));
}

async function readMembers(reading: Reading, groups: readonly Group[]): Promise<Members[]> {
  let done = 0;
  const own = groups.filter(({ type }) => type === "OKTA_GROUP");
  return inLanes(own, lanes, reading.stop, async (group) => {
    const key = groupKey(group);
    const path = `/api/v1/groups/${encodeURIComponent(reading.ids.groups.get(key) ?? "")}/users`;
    const people: string[] = [];
    const work = () =>
      eachPage(reading, path, { limit: members_page_size }, (items) => {
        people.push(...items.flatMap((one) => reading.logins.get(text(one["id"])) ?? []));
      });
    await orUnseen(reading, { kind: "membership", name: key }, work, undefined);
    reading.tell("reading members of groups", ++done, own.length);
    return { group: key, people: people.sort(inOrder) };
  });
}

async function readRules(reading: Reading): Promise<Rule[]> {
  const found = await all(reading, "/api/v1/groups/rules", { limit: page_size });
  const rules = unique(
    reading,
    "rule",
    found,
    (rule) => text(rule["name"]),
    (rule) => text(rule["name"]),
  );
  return rules
    .map((body): Rule => {
      reading.ids.rules.set(text(body["name"]), text(body["id"]));
      const groups = listAt(body, "actions", "assignUserToGroups", "groupIds");
      const except = listAt(body, "conditions", "people", "users", "exclude");
      return {
        name: text(body["name"]),
        status: text(body["status"]),
        expression: named(reading, text(at(body, "conditions", "expression", "value"))),
        groups: groups.map((id) => reading.keys.get(id) ?? id).sort(inOrder),
        except: except.flatMap((id) => reading.logins.get(id) ?? []).sort(inOrder),
      };
    })
    .toSorted((a, b) => inOrder(a.name, b.name));
}

const listAt = (body: Tree, ...path: readonly string[]): string[] => {
  const list = at(body, ...path);
  return Array.isArray(list) ? list.map(text) : [];
};
