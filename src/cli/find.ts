/** What people call things by: an app's label, a group's or a rule's name, turned into the thing. */
import type { Client } from "./client.ts";
import { CliError, exit_codes } from "./errors.ts";
import { plain } from "./output.ts";

export type User = Readonly<{
  id: string;
  status: string;
  created: string;
  profile: Readonly<Record<string, unknown>>;
}>;
export type Group = Readonly<{
  id: string;
  type: string;
  profile: Readonly<{ name: string; description?: string | null }>;
}>;
export type Rule = Readonly<{
  id: string;
  name: string;
  status: string;
  conditions: Readonly<{
    expression: Readonly<{ value: string }>;
    people: Readonly<{ users: Readonly<{ exclude: readonly string[] }> }>;
  }>;
  actions: Readonly<{ assignUserToGroups: Readonly<{ groupIds: readonly string[] }> }>;
}>;
export type Health = Readonly<{
  state: string;
  pause_reason: string | null;
  paused_until: string | null;
  due: number;
  faulted: number;
  parked: number;
  oldest_due_at: string | null;
  undecided: number;
  reconciled_at: string | null;
  import_due_at: string | null;
  import_failed: string | null;
}>;
export type App = Readonly<{
  id: string;
  name: string;
  label: string;
  kind: string;
  status: string;
  config: Readonly<Record<string, unknown>>;
  provisioning: Readonly<Record<string, unknown>>;
  sourcing: Readonly<Record<string, unknown>> | null;
  licence: Readonly<{ seats: number | null; used: number; expires_at: string | null }>;
  health?: Health;
}>;

/** A word as a shell takes it. */
export const shellWord = (text: string): string =>
  /^[\w.@-]+$/.test(text) ? text : `'${plain(text).replaceAll("'", "'\\''")}'`;

const encode = encodeURIComponent;

/** A person by id or login. */
export const findUser = (client: Client, user: string): Promise<User> =>
  client.get<User>(`/api/v1/users/${encode(user)}`);

/** An app by id or label. */
export const findApp = (client: Client, app: string): Promise<App> => client.get<App>(`/admin/v1/apps/${encode(app)}`);

/** A group by id or by its whole name. */
export async function findGroup(client: Client, text: string): Promise<Group> {
  if (/^00g[0-9A-Za-z]{17}$/.test(text)) return client.get<Group>(`/api/v1/groups/${text}`);
  const groups = await client.get<Group[]>("/api/v1/groups", {
    search: `profile.name eq ${JSON.stringify(text)}`,
    limit: 10,
  });
  return only(groups, text, "group", (group) => group.profile.name);
}

/** A group as the list of groups gives it, with how many are in it. */
export type CountedGroup = Group & { _embedded?: { stats?: { usersCount: number; appsCount: number } } };

/** How many people are in a group, and how many apps it gives. */
export async function countGroup(client: Client, { id }: Group): Promise<Readonly<{ people: number; apps: number }>> {
  const [group] = await client.get<CountedGroup[]>("/api/v1/groups", { search: `id eq "${id}"`, expand: "stats" });
  const stats = group?._embedded?.stats;
  return { people: stats?.usersCount ?? 0, apps: stats?.appsCount ?? 0 };
}

/** A rule by id or by its whole name. */
export async function findRule(client: Client, text: string): Promise<Rule> {
  if (/^0pr[0-9A-Za-z]{17}$/.test(text)) return client.get<Rule>(`/api/v1/groups/rules/${text}`);
  const rules = await client.get<Rule[]>("/api/v1/groups/rules", { search: text, limit: 200 });
  return only(rules, text, "rule", (rule) => rule.name);
}

function only<T>(found: readonly T[], text: string, what: string, name: (one: T) => string): T {
  const exact = found.filter((one) => name(one) === text);
  const chosen = exact.length > 0 ? exact : found.filter((one) => name(one).toLowerCase() === text.toLowerCase());
  const [one] = chosen;
  if (one === undefined) throw new CliError(exit_codes.not_found, `there is no ${what} "${text}"`);
  if (chosen.length > 1) throw new CliError(exit_codes.refused, `several ${what}s are called "${text}": use the id`);
  return one;
}

type Properties = Readonly<Record<string, Readonly<{ type?: string }>>>;
type Part = Readonly<{ properties?: Properties; required?: readonly string[] }>;

/** The attributes that people have, by name, and those that they must have. */
export async function userAttributes(
  client: Client,
): Promise<Readonly<{ properties: Properties; required: readonly string[] }>> {
  const schema = await client.get<Readonly<{ definitions: Readonly<Partial<Record<"base" | "custom", Part>>> }>>(
    "/api/v1/meta/schemas/user/default",
  );
  const { base, custom } = schema.definitions;
  return {
    properties: { ...base?.properties, ...custom?.properties },
    required: [...(base?.required ?? []), ...(custom?.required ?? [])],
  };
}
