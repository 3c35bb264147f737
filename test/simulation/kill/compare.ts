/**
 * Compares an app with what the company asked for: by the app's own answers, account by account and member by member.
 *
 * - lost: a change that should be in the app and is not: an account missing, disabled or with old values, a member
 *   missing or left over, a group missing or under its old name.
 * - doubled: somebody with more than one account, however it is named; a group that is there twice.
 * - left_enabled: an enabled account of somebody who left, is suspended, or has the app no more.
 * - strangers: accounts and groups that nobody asked for.
 */
import { type Address, readAccounts, readGroup, type SeenAccount } from "../../../demo/reader.ts";
import { type AppKey, app_keys, type Company, entitled, isIn, numberOf, type Person, pushes } from "./company.ts";

export type Findings = Readonly<Record<"lost" | "doubled" | "left_enabled" | "strangers", string[]>>;
export type Seen = Readonly<{ findings: Findings; accounts: number; enabled: number; members: number }>;

/** Looks at both apps. */
export async function compare(company: Company, addresses: Readonly<Record<AppKey, Address>>): Promise<Seen> {
  const findings: Findings = { lost: [], doubled: [], left_enabled: [], strangers: [] };
  const counts = { accounts: 0, enabled: 0, members: 0 };
  for (const app of app_keys) {
    const accounts = await readAccounts(addresses[app]);
    counts.accounts += accounts.length;
    counts.enabled += accounts.filter(({ active }) => active).length;
    compareAccounts(company, app, accounts, findings);
    counts.members += await compareGroups(company, app, addresses[app], accounts, findings);
  }
  return { findings, ...counts };
}

function compareAccounts(company: Company, app: AppKey, accounts: readonly SeenAccount[], findings: Findings): void {
  const byNumber = Map.groupBy(accounts, ({ userName }) => numberOf(userName));
  for (const account of byNumber.get(null) ?? []) findings.strangers.push(`${app}: account ${account.userName}`);
  for (const person of company.people) {
    const own = byNumber.get(person.number) ?? [];
    const who = `${app}, ${person.login} (${person.state}, ${person.id})`;
    const names = own.map(({ userName, active }) => `${userName}${active ? "" : " (disabled)"}`).join(", ");
    if (own.length > 1) findings.doubled.push(`${who}: ${own.length} accounts: ${names}`);
    const live = own.filter(({ active }) => active);
    if (!entitled(person, app)) {
      if (live.length > 0) findings.left_enabled.push(`${who}: ${names}`);
    } else if (live.length === 0) findings.lost.push(`${who}: ${own.length === 0 ? "no account" : "disabled"}`);
    else for (const account of live) findings.lost.push(...wrongValues(person, account).map((one) => `${who}: ${one}`));
  }
}

/** The attributes that are not as asked, each as "name is X instead of Y". */
function wrongValues(person: Person, account: SeenAccount): string[] {
  const name = account.raw["name"] as Readonly<Record<string, unknown>> | undefined;
  const emails = account.raw["emails"] as readonly Readonly<Record<string, unknown>>[] | undefined;
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ["userName", account.userName.toLowerCase(), person.login],
    ["department", account.department, person.department],
    ["title", account.title, person.title],
    ["familyName", name?.["familyName"], person.last_name],
    ["email", `${emails?.[0]?.["value"]}`.toLowerCase(), person.login],
  ];
  return pairs
    .filter(([, is, should]) => (is ?? null) !== should)
    .map(([what, is, should]) => `${what} is ${JSON.stringify(is)} instead of ${JSON.stringify(should)}`);
}

/** Gives how many members the app's groups have. */
async function compareGroups(
  company: Company,
  app: AppKey,
  address: Address,
  accounts: readonly SeenAccount[],
  findings: Findings,
): Promise<number> {
  const userNames = new Map(accounts.map(({ id, userName }) => [id, userName.toLowerCase()]));
  const names = await groupNames(address);
  let members = 0;
  for (const key of pushes[app]) {
    const name = company.groups.get(key)?.name ?? key;
    const count = names.filter((one) => one === name).length;
    const where = `${app}, group ${name}`;
    if (count > 1) findings.doubled.push(`${where}: ${count} groups of this name`);
    const group = await readGroup(address, name);
    if (group === null) {
      findings.lost.push(`${where}: there is no such group`);
      continue;
    }
    members += group.members.length;
    const is = new Set(group.members.map((id) => userNames.get(id) ?? `the unknown account ${id}`));
    const should = new Set(
      company.people.filter((one) => isIn(one, key) && entitled(one, app)).map(({ login }) => login),
    );
    for (const login of without(should, is)) findings.lost.push(`${where}: ${login} is no member`);
    for (const login of without(is, should)) findings.lost.push(`${where}: ${login} is still a member`);
  }
  const wanted = new Set<string>(pushes[app].map((key) => company.groups.get(key)?.name ?? key));
  for (const name of names) if (!wanted.has(name)) findings.strangers.push(`${app}: group ${name}`);
  return members;
}

const without = (some: ReadonlySet<string>, others: ReadonlySet<string>) => [...some].filter((one) => !others.has(one));

/** The names of all groups; they are few enough for one page of any server. */
async function groupNames({ url, token }: Address): Promise<readonly string[]> {
  const answer = await fetch(`${url}/Groups?startIndex=1&count=50`, {
    headers: { authorization: `Bearer ${token}`, accept: "application/scim+json" },
  });
  if (!answer.ok) throw new Error(`GET ${url}/Groups: ${answer.status}`);
  const { Resources } = (await answer.json()) as { Resources?: readonly { displayName: string }[] };
  return (Resources ?? []).map(({ displayName }) => displayName);
}
