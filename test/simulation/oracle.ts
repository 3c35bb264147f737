/**
 * The oracle: what each app should hold, worked out naively from what people asked for, and the comparisons with what it
 * really holds. It shares no code with the engine.
 */
import type { FakeApp } from "../../src/connectors/fake/connector.ts";
import { sql } from "../../src/store/database.ts";
import { type Company, grants, type Person, pushes } from "./company.ts";

/** The groups a person is in: by hand, and group 1 by the rule. */
export function groupsOf(company: Company, person: Person): Set<number> {
  const groups = new Set(person.groups);
  if (person.department === company.rule.department) groups.add(1);
  return groups;
}

/** Should the person have the app at all? */
export function entitled(company: Company, person: Person, app: number): boolean {
  if (person.status === "DEPROVISIONED") return false;
  const groups = groupsOf(company, person);
  return person.own.has(app) || (grants[app] ?? []).some((group) => groups.has(group));
}

/** Notes for each person what they are entitled to now, so that a later leftover can be told from a stray write. */
export function noteEntitled(company: Company): void {
  for (const person of company.people) {
    for (const app of company.apps.keys()) if (entitled(company, person, app)) person.ever.add(app);
  }
}

const nameOf = (account: { profile: { [name: string]: unknown } }) =>
  String(account.profile["userName"] ?? "").toLowerCase();

function accountsOf(fake: FakeApp, person: Person, orphans: ReadonlySet<string> = new Set()) {
  return [...fake.accounts].filter(([id, account]) => person.logins.includes(nameOf(account)) && !orphans.has(id));
}

/**
 * What reconcile lists as nobody's. A create that an app without unique names carries out long after it was given up
 * leaves a second account; the engine cannot know whose it is, so showing it to an administrator is all that is asked.
 */
async function orphansOf(company: Company, app: number): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ external_id: string }>`
    select external_id from orphans where app_id = ${company.apps[app]}`.execute(company.world.db);
  return new Set(rows.map((row) => row.external_id));
}

/** What must hold after every step, whatever fails: the violations found. */
export function unsafe(company: Company): string[] {
  const found: string[] = [];
  for (const [app, fake] of company.fakes.entries()) {
    for (const person of company.people) {
      const accounts = accountsOf(fake, person);
      // A reply or a read that comes too late can make a second account for someone renamed; reconcile shows it as an orphan.
      if (accounts.length > 1 && !company.lagging)
        found.push(`app ${app}: ${accounts.length} accounts for ${person.logins.join("/")}`);
      if (accounts.length > 0 && !person.ever.has(app))
        found.push(`app ${app}: an account for ${person.login}, who never had the app`);
    }
  }
  return found;
}

/**
 * People for whom an administrator has a task because the app has two accounts of one name. Only an app that takes two and
 * shows what it took too late can come to that; which of them to keep is not for a machine to say.
 */
async function undecided(company: Company, app: number): Promise<ReadonlySet<string>> {
  if (!company.lagging) return new Set();
  const { rows } = await sql<{ user_id: string }>`
    select w.user_id from work w join tasks t on t.account_id = w.account_id and t.status = 'OPEN'
    where w.app_id = ${company.apps[app]} and w.fault = 'conflict'`.execute(company.world.db);
  return new Set(rows.map((row) => row.user_id));
}

/** What must hold once faults have stopped and nothing is due: the violations found. */
export async function unsettled(company: Company): Promise<string[]> {
  const found: string[] = [];
  for (const [app, fake] of company.fakes.entries()) {
    const orphans = company.lagging ? await orphansOf(company, app) : new Set<string>();
    const open = await undecided(company, app);
    for (const person of company.people) {
      if (open.has(person.id)) continue;
      const accounts = accountsOf(fake, person, orphans);
      const should = entitled(company, person, app);
      const live = accounts.filter(([, account]) => account.enabled);
      const where = `app ${app}, ${person.login} (${person.status})`;
      if (live.length > 1) found.push(`${where}: ${live.length} enabled accounts`);
      if (!should && live.length > 0) found.push(`${where}: enabled without any reason`);
      if (!should) continue;
      const expected = { enabled: person.status === "ACTIVE", userName: person.login, department: person.department };
      if (expected.enabled && live.length === 0) found.push(`${where}: no enabled account`);
      for (const [, account] of live) {
        if (!expected.enabled) found.push(`${where}: enabled although suspended`);
        if (nameOf(account) !== expected.userName) found.push(`${where}: userName is ${nameOf(account)}`);
        if (account.profile["department"] !== expected.department)
          found.push(`${where}: department is ${account.profile["department"]}`);
      }
    }
  }
  return [...found, ...(await wrongMembers(company))];
}

/** Pushed groups whose members in the app are not exactly the enabled people of our group. */
async function wrongMembers(company: Company): Promise<string[]> {
  const found: string[] = [];
  for (const { app, group } of pushes)
    found.push(...wrongMembersOf(company, app, group, await undecided(company, app)));
  return found;
}

function wrongMembersOf(company: Company, app: number, group: number, open: ReadonlySet<string>): string[] {
  const fake = company.fakes[app] as FakeApp;
  const targets = [...fake.groups.values()].filter((one) => one.name === `Group ${group}`);
  const belongs = (one: Person) =>
    one.status === "ACTIVE" && groupsOf(company, one).has(group) && entitled(company, one, app) && !open.has(one.id);
  const expected = company.people.filter(belongs).map((one) => one.login);
  if (targets.length !== 1) return [`app ${app}: ${targets.length} groups named Group ${group}`];
  const members = [...(targets[0]?.members ?? [])].map((id) =>
    nameOf(fake.accounts.get(id) ?? { profile: { userName: `gone ${id}` } }),
  );
  const same = expected.length === members.length && expected.every((login) => members.includes(login));
  return same ? [] : [`app ${app}, Group ${group}: members ${members.sort()} instead of ${expected.sort()}`];
}

/** Every write that reached an app has an operation row, and no password is in any table. */
export async function unrecorded(company: Company): Promise<string[]> {
  const { rows: tables } = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = 'public' and tablename in
      ('accounts', 'accounts_history', 'work', 'operations', 'events', 'tasks', 'users', 'users_history', 'pushed_groups')`.execute(
    company.world.db,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const { rows } = await sql<{ n: number }>`
      select count(*)::int as n from ${sql.table(name)} t where t::text like '%Initial-%'`.execute(company.world.db);
    if ((rows[0]?.n ?? 0) > 0) found.push(`a password is in clear in ${name}`);
  }
  return found;
}
