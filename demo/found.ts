/** Founds the company: everything company.ts describes, set up over the API, in an order that never waits for an app. */
import type { Cast } from "./cast.ts";
import {
  apps,
  badges_label,
  groups,
  type Label,
  licence,
  responders_group,
  source_label,
  sourceLines,
} from "./company.ts";
import { type RunningSystem, systems } from "./systems.ts";
import type { NewApp, Tenure } from "./tenure.ts";

/** The ids of what was founded, by name. Throws for a name that is none of the company's. */
export type Company = Readonly<{ source: string; app(label: Label): string; group(name: string): string }>;

/** What is there before any app is: the source of people, and groups with their rules. */
export type Directory = Readonly<{ source: string; groups: ReadonlyMap<string, string> }>;

/** The HR file's name in the server's import folder. */
export const hr_file = "hr.csv";

/** Sets up groups, rules and the source. The HR file need not be there yet. */
export async function foundDirectory(tenure: Tenure): Promise<Directory> {
  await tenure.defineDate("hireDate", "First day");
  const made = Promise.all(
    groups.map(async ({ name, description }) => [name, await tenure.createGroup(name, description)] as const),
  );
  const source = await foundSource(tenure);
  const ids = new Map(await made);
  await Promise.all(
    groups.map(async ({ name, expression }) => {
      if (expression !== undefined) await tenure.createRule(name, expression, named(ids, name));
    }),
  );
  return { source, groups: ids };
}

/** Connects an app as soon as it answers, and gives it to its groups. Gives its id. */
export async function connectApp(
  tenure: Tenure,
  label: Label,
  { groups: ids }: Directory,
  system: Promise<RunningSystem> | undefined,
): Promise<string> {
  const plan = apps.find((one) => one.label === label);
  if (plan === undefined) throw new Error(`the company has no ${label}`);
  const app = await tenure.createApp(await connection(label, system));
  if (Object.keys(plan.lines).length > 0) await tenure.map(app, "app", plan.lines);
  if (label === licence.label) await tenure.setLicence(app, licence.seats, await licenceEnd(tenure));
  for (const group of plan.pushes) await tenure.pushGroup(app, named(ids, group), group);
  if (plan.push_rule) await tenure.createPushRule(app, plan.push_rule.name, plan.push_rule.expression);
  // Last, because from now on accounts are made.
  for (const { group, priority, profile } of plan.grants) {
    await tenure.grantGroup(app, named(ids, group), priority, profile);
  }
  return app;
}

async function connection(label: Label, system: Promise<RunningSystem> | undefined): Promise<NewApp> {
  if (label === badges_label || system === undefined) return { kind: "manual", label, config: {} };
  const { address } = await system;
  const config = { base_url: address.url, profile: systems[label].profile, token: address.token };
  return { kind: "scim", label, config };
}

async function licenceEnd(tenure: Tenure): Promise<Date> {
  return new Date((await tenure.now()).getTime() + licence.days * 86_400_000);
}

/** What has been founded, by name. */
export function companyOf(directory: Directory, app_ids: ReadonlyMap<Label, string>): Company {
  return {
    source: directory.source,
    app: (label) => named(app_ids, label),
    group: (name) => named(directory.groups, name),
  };
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
