/**
 * Carries a plan out, through the API of the running server: what things are first, then who there is, then who belongs to
 * what, and last what acts by itself.
 *
 * Laws: an app that is made here is switched off and paused before anybody is given it, and stays paused, so nothing is
 * written in a real app until an administrator connects it; nobody is sent anything; rules act only once everyone is where they belong; what was done
 * stays done, so that whoever is interrupted runs it again and goes on.
 */
import { applyApp, applyAppGroups, turnApps } from "./applyApps.ts";
import {
  type Applying,
  appId,
  attempt,
  count,
  eachOf,
  groupId,
  inHalves,
  needed,
  partsOf,
  personId,
} from "./applying.ts";
import { inLanes } from "./lanes.ts";
import { type AppUser, fold, type Group, groupKey, isTree, type Person, type Rule, type Tree } from "./organisation.ts";
import type { PersonChange, Steps } from "./plan.ts";
import { unnamed } from "./reading.ts";

/** People, members and accounts in one call. */
const set_size = 500;
const set_lanes = 2;

/** Does everything that the plan says. */
export async function applySteps(applying: Applying, steps: Steps): Promise<void> {
  await applyShapes(applying, steps);
  await eachOf(applying, "group", "groups", steps.groups, {
    name: ({ group }) => groupKey(group),
    work: ({ group, known }) => applyGroup(applying, group, known),
  });
  await eachOf(applying, "app", "apps", steps.apps, {
    name: ({ app }) => app.label,
    work: (change) => applyApp(applying, change),
    width: 4,
  });
  await applyPeople(applying, steps.people);
  await eachOf(applying, "person", "changes of people", steps.changed, {
    name: ({ person }) => person.login,
    work: (change) => applyChange(applying, change),
  });
  await eachOf(applying, "link", "links", steps.links, {
    name: ({ name, associated }) => `${name} of ${associated}`,
    work: ({ name, associated, primary }) => {
      const [who, whom] = [personId(applying, associated), personId(applying, primary)];
      return applying.client.send("PUT", `/api/v1/users/${who}/linkedObjects/${encodeURIComponent(name)}/${whom}`);
    },
  });
  await applyMembers(applying, steps.members);
  await applyRules(applying, steps.rules);
  await inLanes(steps.app_groups, 4, applying.stop, (step) => applyAppGroups(applying, step));
  await applyAppUsers(applying, steps.app_users);
  await applyPushes(applying, steps.pushes);
  await turnApps(applying, steps.apps);
}

/** Types of people, attributes, kinds of link. */
async function applyShapes(applying: Applying, steps: Steps): Promise<void> {
  const { client, ours } = applying;
  for (const { type, known } of steps.types) {
    const { name, title, description } = type;
    const body = { name, displayName: title, description };
    await attempt(applying, "user type", name, async () => {
      const path = "/api/v1/meta/types/user";
      const made = known
        ? await client.send<Tree>("POST", `${path}/${ours.ids.types.get(name)}`, body)
        : await client.send<Tree>("POST", path, body);
      const links = isTree(made["_links"]) && isTree(made["_links"]["schema"]) ? made["_links"]["schema"] : {};
      ours.ids.types.set(name, String(made["id"]));
      ours.ids.schemas.set(name, type.standard ? "default" : (String(links["href"]).split("/").at(-1) ?? ""));
    });
  }
  for (const { of, properties, base } of steps.attributes) {
    const path =
      of === null
        ? "/api/v1/meta/schemas/group/default"
        : `/api/v1/meta/schemas/user/${ours.ids.schemas.get(of) ?? of}`;
    for (const [part, all] of [["base", base] as const, ["custom", properties] as const]) {
      await inHalves(applying, "attribute", Object.entries(all), {
        name: ([name]) => `${of ?? "group"}: ${name}`,
        work: (some) =>
          client.send("POST", path, { definitions: { [part]: { properties: Object.fromEntries(some) } } }),
      });
    }
  }
  for (const kind of steps.link_kinds) {
    const end = ({ name, title, description }: typeof kind.primary) => ({ name, title, description, type: "USER" });
    await attempt(applying, "link kind", kind.primary.name, () =>
      client.send("POST", "/api/v1/meta/schemas/user/linkedObjects", {
        primary: end(kind.primary),
        associated: end(kind.associated),
      }),
    );
  }
}

async function applyGroup({ client, ours }: Applying, group: Group, known: boolean): Promise<void> {
  const key = groupKey(group);
  const body = { profile: { name: group.name, ...group.profile } };
  const made = known
    ? await client.send<Tree>("PUT", `/api/v1/groups/${ours.ids.groups.get(key)}`, body)
    : await client.send<Tree>("POST", "/api/v1/groups", body);
  ours.ids.groups.set(key, String(made["id"]));
}

const signs_in = new Set(["ACTIVE", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED"]);

/** A profile without what could not be defined here, which was told once: nobody is kept out for it. */
function definedPart({ failures }: Applying): (person: Person) => Tree {
  const lost = new Set(failures.flatMap(({ kind, name }) => (kind === "attribute" ? [name] : [])));
  return ({ profile, type }) =>
    lost.size === 0
      ? profile
      : Object.fromEntries(Object.entries(profile).filter(([name]) => !lost.has(`${type}: ${name}`)));
}

/** New people in sets; the answer says of each what became of them. */
async function applyPeople(applying: Applying, people: readonly Person[]): Promise<void> {
  const { client, ours } = applying;
  type Answer = Readonly<{ users: readonly Readonly<{ id?: string; refused?: string }>[] }>;
  const part = definedPart(applying);
  let finished = 0;
  const bring = async (some: readonly Person[]) => {
    const users = some
      .map((person) => ({ ...person, profile: part(person) }))
      .map(({ profile, status, type, provider }) => ({
        ...{ profile, status, type_id: needed(ours.ids.types.get(type), `the type ${type}`) },
        ...(provider === undefined ? { password_hook: applying.ask_passwords && signs_in.has(status) } : { provider }),
      }));
    const answer = await client.send<Answer>("POST", "/admin/v1/users", { users });
    for (const [n, { login }] of some.entries()) {
      const { id, refused } = answer.users[n] ?? {};
      if (id !== undefined) ours.ids.people.set(fold(login), id);
      else {
        applying.failures.push({ kind: "person", name: login, why: refused ?? "the server did not answer for them" });
        count(applying, "person", -1);
      }
    }
  };
  await inLanes(partsOf(people, set_size), set_lanes, applying.stop, async (some) => {
    await inHalves(applying, "person", some, { name: ({ login }) => login, work: bring });
    finished += some.length;
    applying.tell("people", finished, people.length);
  });
}

/** Whoever comes back is let in before their profile is written, whoever goes is changed first: the profile of who has left is closed. */
async function applyChange(applying: Applying, { person, profile, event }: PersonChange): Promise<void> {
  const { client, ours } = applying;
  const path = `/api/v1/users/${personId(applying, person.login)}`;
  const turn = (one: string) => client.send("POST", `${path}/lifecycle/${one}`, undefined, { sendEmail: false });
  if (event === "activate" || event === "unsuspend") await turn(event);
  if (profile) {
    const id = needed(ours.ids.types.get(person.type), `the type ${person.type}`);
    await client.send("POST", path, { profile: definedPart(applying)(person), type: { id } });
  }
  if (event === "deactivate" || event === "suspend") await turn(event);
}

async function applyMembers(applying: Applying, members: Steps["members"]): Promise<void> {
  const pairs = members.flatMap(({ group, people }) => people.map((login) => ({ group, login })));
  let finished = 0;
  await inLanes(partsOf(pairs, set_size), set_lanes, applying.stop, async (part) => {
    await inHalves(applying, "membership", part, {
      name: ({ group, login }) => `${login} in ${group}`,
      work: (some) => {
        const groups = [...Map.groupBy(some, ({ group }) => group)].map(([group, of_group]) => ({
          group_id: groupId(applying, group),
          users: of_group.map(({ login }) => personId(applying, login)),
        }));
        return applying.client.send("POST", "/admin/v1/memberships", { groups, reason: "was in the group in Okta" });
      },
    });
    finished += part.length;
    applying.tell("memberships", finished, pairs.length);
  });
}

/** All rules are written before the first acts: a rule may read what another fills. */
async function applyRules(applying: Applying, rules: Steps["rules"]): Promise<void> {
  const { client, ours } = applying;
  const path = "/api/v1/groups/rules";
  const bodyOf = ({ name, expression, groups, except }: Rule) => ({
    ...{ type: "group_rule", name },
    conditions: {
      people: { users: { exclude: except.map((login) => personId(applying, login)) }, groups: { exclude: [] } },
      expression: { value: unnamed(ours.ids, expression), type: "urn:okta:expression:1.0" },
    },
    actions: { assignUserToGroups: { groupIds: groups.map((key) => groupId(applying, key)) } },
  });
  const written = rules.filter(({ write }) => write);
  await eachOf(applying, "rule", "rules", written, {
    name: ({ rule }) => rule.name,
    work: async ({ rule, known }) => {
      const made = known
        ? await client.send<Tree>("PUT", `${path}/${ours.ids.rules.get(rule.name)}`, bodyOf(rule))
        : await client.send<Tree>("POST", path, bodyOf(rule));
      ours.ids.rules.set(rule.name, String(made["id"]));
    },
  });
  const statuses = new Map(ours.organisation.rules.map(({ name, status }) => [name, status]));
  const turned = rules.filter(({ rule }) => {
    return ours.ids.rules.has(rule.name) && (statuses.get(rule.name) ?? "INACTIVE") !== rule.status;
  });
  let finished = 0;
  for (const { rule } of turned) {
    const turn = rule.status === "ACTIVE" ? "activate" : "deactivate";
    const id = ours.ids.rules.get(rule.name);
    await attempt(applying, "rule", rule.name, () => client.send("POST", `${path}/${id}/lifecycle/${turn}`));
    applying.tell("rules that act", ++finished, turned.length);
  }
}

async function applyAppUsers(applying: Applying, apps: Steps["app_users"]): Promise<void> {
  const parts = apps.flatMap(({ label, people }) => partsOf(people, set_size).map((some) => ({ label, some })));
  let finished = 0;
  await inLanes(parts, set_lanes, applying.stop, async ({ label, some }) => {
    await inHalves(applying, "app user", some, {
      name: ({ login }) => `${login} in ${label}`,
      work: (people: readonly AppUser[]) => {
        const accounts = people.map(({ login, scope, external_id, profile }) => ({
          ...{ user_id: personId(applying, login), own: scope === "USER", external_id },
          ...(scope === "USER" ? { profile } : {}),
        }));
        return applying.client.send("POST", `/admin/v1/apps/${appId(applying, label)}/accounts`, { accounts });
      },
    });
    applying.tell("people of apps", ++finished, parts.length);
  });
}

async function applyPushes(applying: Applying, pushes: Steps["pushes"]): Promise<void> {
  const { client, ours } = applying;
  await eachOf(applying, "group push", "pushed groups", pushes, {
    name: ({ label, push }) => `${push.group} to ${label}`,
    work: async ({ label, push: { group, status, target_id, target_name }, known }) => {
      const path = `/api/v1/apps/${appId(applying, label)}/group-push/mappings`;
      if (known) {
        return client.send("PATCH", `${path}/${ours.ids.pushes.get(`${fold(label)} ${group}`)}`, { status });
      }
      return client.send("POST", path, {
        ...{ sourceGroupId: groupId(applying, group), status },
        ...(target_id === undefined ? {} : { targetGroupId: target_id }),
        ...(target_name === undefined ? {} : { targetGroupName: target_name }),
      });
    },
  });
}
