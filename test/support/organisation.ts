/** An invented organisation as a document, of any size: what `tenure okta-import --from` takes. */
import type { App, Organisation, Person, Rule } from "../../src/cli/okta/organisation.ts";

const departments = ["Sales", "Finance", "Operations", "Research", "Support"];
const statuses = ["STAGED", "PROVISIONED", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED"];

/** An app with nothing said of it. */
export function plainApp(label: string, more: Partial<App> = {}): App {
  return {
    ...{ label, name: null, kind: "none", status: "ACTIVE", mode: null, body: {}, address: null },
    ...{
      provisioning: null,
      sourcing: null,
      attributes: { userName: { title: "User name", type: "string", required: true } },
    },
    ...{ to_app: { userName: { expression: "user.login", push: true } }, to_user: {} },
    ...{ groups: [], people: [], pushes: [] },
    ...more,
  };
}

export function plainPerson(n: number, more: Partial<Person> = {}): Person {
  const login = `person${n}@x.co`;
  return {
    ...{ login, status: "ACTIVE", type: "user" },
    profile: { login, email: login, firstName: `First${n}`, lastName: `Last${n}` },
    ...more,
  };
}

export const nothing: Organisation = {
  ...{ version: 1, user_types: [], link_kinds: [], group_attributes: {}, groups: [], people: [] },
  ...{ members: [], links: [], rules: [], apps: [], lacks: [] },
};

/** Half of the groups are filled by rules, half by hand; half of the apps have a connector. */
export function organisation(
  size: Readonly<{ people: number; groups: number; rules: number; apps: number }>,
): Organisation {
  const people = Array.from({ length: size.people }, (_, n) => {
    const { login, profile } = plainPerson(n);
    const status = n % 40 === 0 ? (statuses[(n / 40) % statuses.length] ?? "ACTIVE") : "ACTIVE";
    const department = departments[n % departments.length] ?? "";
    const more = { department, costCenter: `C${n % size.rules}`, badge: `B${n}`, shifts: ["early", `team ${n % 7}`] };
    return { login, status, type: n % 50 === 7 ? "contractor" : "user", profile: { ...profile, ...more } };
  });
  const groups = Array.from({ length: size.groups }, (_, n) => ({
    ...{ type: "OKTA_GROUP", name: `Group ${n} (team's)`, app: null },
    profile: { description: `The ${n}th`, site: n % 2 === 0 ? "north" : "south" },
  }));
  const key = (n: number) => `OKTA_GROUP:Group ${n} (team's)`;
  const rules: Rule[] = Array.from({ length: size.rules }, (_, n) => ({
    ...{ name: `Rule ${n}`, status: n % 10 === 9 ? "INACTIVE" : "ACTIVE" },
    expression:
      n % 5 === 4
        ? `user.costCenter == "C${n}" and isMemberOfAnyGroup("group(${encodeURIComponent(key(size.groups - 1)).replaceAll(/[()']/g, (c) => `%${c.charCodeAt(0).toString(16)}`)})")`
        : `user.costCenter == "C${n}"`,
    groups: [key(n)],
    except: n === 0 ? [`person${size.rules}@x.co`] : [],
  }));
  const by_hand = Array.from({ length: size.groups - size.rules }, (_, n) => ({
    group: key(size.rules + n),
    people: people.filter((_, m) => m % (size.groups - size.rules) === n || m % 97 === n).map(({ login }) => login),
  }));
  const living = people.filter(({ status }) => status !== "DEPROVISIONED");
  const apps = Array.from({ length: size.apps }, (_, n) => bigApp(n, size, key, living));
  const attribute = (title: string, type: string) => ({ title, type });
  return {
    ...nothing,
    user_types: [
      {
        ...{ name: "user", title: "User", description: null, standard: true },
        attributes: {
          badge: attribute("Badge", "string"),
          shifts: { ...attribute("Shifts", "array"), items: { type: "string" } },
        },
      },
      {
        ...{ name: "contractor", title: "Contractor", description: "Paid by the day", standard: false },
        attributes: {
          ...{ badge: attribute("Badge", "string"), agency: attribute("Agency", "string") },
          shifts: { ...attribute("Shifts", "array"), items: { type: "string" } },
        },
      },
    ],
    group_attributes: { site: { ...attribute("Site", "string"), enum: ["north", "south"] } },
    ...{ groups, people, members: by_hand, rules, apps },
  };
}

function bigApp(
  n: number,
  size: Readonly<{ groups: number; rules: number }>,
  key: (n: number) => string,
  living: readonly Person[],
): App {
  const connected = n % 2 === 0;
  const groups = [4, 1, 3, 0, 2].map((g) => key((n * 5 + g) % size.groups));
  return plainApp(`App ${n}`, {
    ...(connected
      ? { kind: "scim", address: `https://app${n}.example.com/scim/v2` }
      : { mode: "BOOKMARK", name: "bookmark" }),
    body: {
      settings: connected ? { app: { profile: "okta" } } : { app: { url: `https://app${n}.example.com` } },
      visibility: { autoLaunch: n % 3 === 0 },
    },
    provisioning: connected
      ? {
          create: { lifecycleCreate: { status: "ENABLED" } },
          update: {
            ...{
              profile: { status: "ENABLED" },
              lifecycleDeactivate: { status: n % 4 === 0 ? "ENABLED" : "DISABLED" },
            },
            password: { status: "DISABLED" },
          },
        }
      : null,
    attributes: {
      displayName: { title: "Display name", type: "string" },
      licences: { title: "Licences", type: "array", items: { type: "string" }, union: "ENABLE" },
      role: { title: "Role", type: "string", enum: ["member", "admin"] },
      userName: { title: "User name", type: "string", required: true },
    },
    to_app: {
      displayName: { expression: 'user.firstName + " " + user.lastName', push: true, when_empty: "clear" },
      userName: { expression: "user.login", push: true, when_empty: "keep" },
    },
    groups: groups.map((group, g) => ({ group, profile: { licences: [`licence ${g}`] } })),
    people: living
      .filter((_, m) => m % 12 === n)
      .map(({ login }, m) => ({
        ...{ login, scope: "USER", external_id: connected ? `ext-${n}-${login}` : null },
        profile: { role: m % 2 === 0 ? "admin" : "member" },
      })),
    pushes: connected
      ? [
          { group: key(n), status: "ACTIVE" },
          { group: key(n + 1), status: "INACTIVE", target_id: `team-${n}` },
        ]
      : [],
  });
}
