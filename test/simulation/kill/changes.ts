/**
 * The changes that waves are made of. Each can be asked for again without harm: after a lost answer it first looks
 * whether it holds already. Only when the API has acknowledged it does the company's own record change (`done`).
 */
import { type Api, ApiRefusal } from "../../../demo/api.ts";
import { type AppKey, type Company, type departments, type Group, loginOf, type Person } from "./company.ts";

export type Change = Readonly<{
  words: string;
  /** Asks for it once. */
  make(api: Api): Promise<unknown>;
  /** Has it been done already? */
  holds(api: Api): Promise<boolean>;
  /** It is acknowledged. */
  done(): void;
}>;

type UserBody = Readonly<{ id: string; status: string; profile: Readonly<Record<string, unknown>> }>;

const user_path = (key: string) => `/api/v1/users/${encodeURIComponent(key)}`;

/** What is at a path; null when it is not there. */
async function seek<T>(api: Api, path: string): Promise<T | null> {
  try {
    return await api.get<T>(path);
  } catch (error) {
    if (error instanceof ApiRefusal && error.status === 404) return null;
    throw error;
  }
}

export function hire(person: Person, team: Group | undefined): Change {
  const profile = {
    ...{ login: person.login, email: person.login, firstName: "Kim", lastName: person.last_name },
    ...{ department: person.department, title: person.title, employeeNumber: `${person.number}` },
  };
  const body = { profile, ...(team === undefined ? {} : { groupIds: [team.id] }) };
  return {
    words: `hire ${person.login}`,
    make: async (api) => {
      person.id = (await api.post<UserBody>("/api/v1/users?activate=true", body)).id;
    },
    holds: async (api) => {
      person.id = (await seek<UserBody>(api, user_path(person.login)))?.id ?? "";
      return person.id !== "";
    },
    done: () => {
      person.state = "here";
      if (team !== undefined) person.hand.add(team.key);
    },
  };
}

/** A change of the profile: of the login too, which is also the e-mail address. */
function edit(
  person: Person,
  words: string,
  profile: Readonly<Record<string, string | null>>,
  done: () => void,
): Change {
  return {
    words: `${words} ${person.login}`,
    make: (api) => api.post(user_path(person.id), { profile }),
    holds: async (api) => {
      const now = await api.get<UserBody>(user_path(person.id));
      return Object.entries(profile).every(([name, value]) => (now.profile[name] ?? null) === value);
    },
    done,
  };
}

export function move(person: Person, to: (typeof departments)[number]): Change {
  return edit(person, `move to ${to}`, { department: to }, () => {
    person.department = to;
  });
}

export function retitle(person: Person, title: string | null): Change {
  return edit(person, "new title for", { title }, () => {
    person.title = title;
  });
}

/** A new login and name, or back to the first login; `n`: which login. */
export function rename(person: Person, n: number): Change {
  const login = loginOf(person.number, n);
  const last_name = `Number${person.number} the ${n}`;
  return edit(person, `rename to ${login}:`, { login, email: login, lastName: last_name }, () => {
    Object.assign(person, { login, last_name, logins: Math.max(person.logins, n) });
  });
}

const turns = {
  deactivate: { to: "gone", held: ["DEPROVISIONED"] },
  activate: { to: "here", held: ["ACTIVE", "PROVISIONED"] },
  suspend: { to: "suspended", held: ["SUSPENDED"] },
  unsuspend: { to: "here", held: ["ACTIVE", "PROVISIONED"] },
} as const;

/** Leaving, returning, suspension and its end. Who leaves loses the apps that were given to them alone. */
export function turn(person: Person, event: keyof typeof turns): Change {
  const { to, held } = turns[event];
  return {
    words: `${event} ${person.login}`,
    make: (api) => api.post(`${user_path(person.id)}/lifecycle/${event}`),
    holds: async (api) => (held as readonly string[]).includes((await api.get<UserBody>(user_path(person.id))).status),
    done: () => {
      person.state = to;
      if (to === "gone") person.own.clear();
    },
  };
}

/** Into a group by hand, or out of it. */
export function regroup(person: Person, group: Group, into: boolean): Change {
  const path = `/api/v1/groups/${group.id}/users/${person.id}`;
  return {
    words: `${into ? "add to" : "take out of"} ${group.key}: ${person.login}`,
    make: (api) => (into ? api.put(path) : api.delete(path)),
    // Both may be asked for again: who is in stays in, who is out stays out.
    holds: async () => false,
    done: () => void (into ? person.hand.add(group.key) : person.hand.delete(group.key)),
  };
}

/** An app given to one person, or taken. */
export function reassign(company: Company, person: Person, app: AppKey, give: boolean): Change {
  const path = `/api/v1/apps/${company.apps[app]}/users`;
  return {
    words: `${give ? "give" : "take"} ${app}: ${person.login}`,
    make: (api) => (give ? api.post(path, { id: person.id, scope: "USER" }) : api.delete(`${path}/${person.id}`)),
    holds: async (api) => {
      const now = await seek<{ scope: string }>(api, `${path}/${person.id}`);
      return (now?.scope === "USER") === give;
    },
    done: () => void (give ? person.own.add(app) : person.own.delete(app)),
  };
}

/** A group gets another name, and so do the groups it is pushed to. */
export function renameGroup(group: Group): Change {
  const name = `${group.key} ${group.names + 1}`;
  return {
    words: `rename the group ${group.name} to ${name}`,
    make: (api) => api.put(`/api/v1/groups/${group.id}`, { profile: { name, description: "renamed" } }),
    holds: async () => false,
    done: () => {
      group.name = name;
      group.names++;
    },
  };
}
