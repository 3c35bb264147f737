/** Founds the company: everything company.ts describes, set up over the API, in an order that never waits for an app. */
import type { Cast } from "./cast.ts";
import {
  type AppPlan,
  apps,
  badges_label,
  groups,
  type Label,
  licence,
  responders_group,
  source_label,
  sourceLines,
} from "./company.ts";
import { type AppLabel, type RunningSystem, systems } from "./systems.ts";
import type { Tenure } from "./tenure.ts";

/** The ids of what was founded, by name. Throws for a name that is none of the company's. */
export type Company = Readonly<{ source: string; app(label: Label): string; group(name: string): string }>;

/** What is there before any app is: the source of people, and groups with their rules. */
export type Directory = Readonly<{ source: string; groups: ReadonlyMap<string, string> }>;

/** The HR file's name in the server's import folder. */
export const hr_file = "hr.csv";

/** Sets up groups, rules and the source. The HR file need not be there yet. */
export async function foundDirectory(tenure: Tenure): Promise<Directory> {
  const ids = new Map<string, string>();
  await tenure.defineDate("hireDate", "First day");
  const source = await foundSource(tenure);
  for (const { name, description } of groups) ids.set(name, await tenure.createGroup(name, description));
  for (const { name, expression } of groups) {
    if (expression !== undefined) await tenure.createRule(name, expression, named(ids, name));
  }
  return { source, groups: ids };
}

/** Connects every app as soon as it answers, so that the first accounts do not wait for the slowest app. */
export async function connectApps(
  tenure: Tenure,
  { source, groups: ids }: Directory,
  starting: Readonly<Record<AppLabel, Promise<RunningSystem>>>,
): Promise<Company> {
  const connected = await Promise.all(
    apps.map(async (plan) => [plan.label, await connectApp(tenure, plan, ids, starting)] as const),
  );
  const appIds = new Map<string, string>(connected);
  const ends_at = new Date((await tenure.now()).getTime() + licence.days * 86_400_000);
  await tenure.setLicence(named(appIds, licence.label), licence.seats, ends_at);
  return { source, app: (label) => named(appIds, label), group: (name) => named(ids, name) };
}

async function connectApp(
  tenure: Tenure,
  plan: AppPlan,
  ids: ReadonlyMap<string, string>,
  starting: Readonly<Record<AppLabel, Promise<RunningSystem>>>,
): Promise<string> {
  const app = await connect(tenure, plan.label, starting);
  if (Object.keys(plan.lines).length > 0) await tenure.map(app, "app", plan.lines);
  for (const group of plan.pushes) await tenure.pushGroup(app, named(ids, group), group);
  if (plan.push_rule) await tenure.createPushRule(app, plan.push_rule.name, plan.push_rule.expression);
  // Last, because from now on accounts are made.
  for (const { group, priority, profile } of plan.grants) {
    await tenure.grantGroup(app, named(ids, group), priority, profile);
  }
  return app;
}

function named(ids: ReadonlyMap<string, string>, name: string): string {
  const id = ids.get(name);
  if (id === undefined) throw new Error(`the company has no ${name}`);
  return id;
}

async function foundSource(tenure: Tenure): Promise<string> {
  const config = { file: hr_file, id_column: "employeeNumber", enabled_column: "status" };
  const source = await tenure.createApp({ kind: "csv", label: source_label, config });
  await tenure.makeSource(source, { match_on: ["login"], start_attribute: "startDate", end_attribute: "endDate" });
  await tenure.map(source, "user", sourceLines);
  return source;
}

async function connect(
  tenure: Tenure,
  label: Label,
  starting: Readonly<Record<AppLabel, Promise<RunningSystem>>>,
): Promise<string> {
  if (label === badges_label) return tenure.createApp({ kind: "manual", label, config: {} });
  const { address } = await starting[label];
  const config = { base_url: address.url, profile: systems[label].profile, token: address.token };
  return tenure.createApp({ kind: "scim", label, config });
}

/** What people did by hand before the story begins: the group kept by hand, an app given to one person. */
export async function settle(tenure: Tenure, company: Company, cast: Cast): Promise<void> {
  for (const { login } of cast.responders) {
    await tenure.addMember(company.group(responders_group), await tenure.userId(login));
  }
  await tenure.assign(company.app("Ticketing"), await tenure.userId(cast.accountant.login));
}

/** Completes the tasks of the app without interface: everyone in the laboratory has a badge. Gives how many. */
export async function handOutBadges(tenure: Tenure, company: Company): Promise<number> {
  const tasks = await tenure.openTasks(company.app(badges_label));
  if (tasks.length > 0)
    await tenure.completeTasks(
      tasks.map(({ id }) => id),
      "The badge was handed out",
    );
  return tasks.length;
}
