/**
 * What Meridian Instruments looks like in Tenure, as data: groups, the rules that fill them, who gets which app with what
 * role, what is written to each account, which groups are pushed where. found.ts sets it up over the API.
 */
import { departments, places } from "./names.ts";
import type { AppLabel } from "./systems.ts";

export const source_label = "HR file";
export const badges_label = "Building badges";
export type Label = AppLabel | typeof badges_label;

export const responders_group = "Incident responders";

/** `expression`: who is in it; a group without one is kept by hand. */
export type GroupPlan = Readonly<{ name: string; description: string; expression?: string }>;

const countries: readonly GroupPlan[] = places.map(({ country, city }) => ({
  name: `Site ${country}`,
  description: `Site: people in ${city}`,
  expression: `user.countryCode == "${country}"`,
}));

const byDepartment: readonly GroupPlan[] = departments.map(({ name, division }) => ({
  name,
  description: `Department in ${division}`,
  expression: `user.department == "${name}"`,
}));

export const groups: readonly GroupPlan[] = [
  { name: "All employees", description: "Employed here", expression: 'user.userType == "employee"' },
  { name: "Contractors", description: "Here on a contract", expression: 'user.userType == "contractor"' },
  ...byDepartment,
  ...countries,
  {
    name: "Engineering leads",
    description: "Lead a team of engineers",
    expression: 'user.department == "Engineering" AND String.stringContains(user.title, "Lead")',
  },
  {
    name: "Product people",
    description: "Rule upon rule: who is in Engineering or Research",
    expression: 'isMemberOfGroupName("Engineering") OR isMemberOfGroupName("Research")',
  },
  {
    name: "Laboratory access",
    description: "Product people who work where the laboratory is",
    expression: 'isMemberOfGroupName("Product people") AND user.countryCode == "IT"',
  },
  {
    name: "Reports to a head",
    description: "By the manager's title",
    expression: 'getManagerUser("hr").title matches "(VP|Head|Chief) .*|CFO|CIO"',
  },
  {
    name: "Ten years here",
    description: "By the hire date; people come in as days go by",
    expression: 'user.userType == "employee" AND Time.daysSince(user.hireDate) >= 3652',
  },
  { name: responders_group, description: "On call; kept by hand" },
];

/** A group that has an app. The smallest priority wins where groups give different values. */
export type GrantPlan = Readonly<{ group: string; priority: number; profile?: Readonly<Record<string, unknown>> }>;

/** One line of a mapping, in the API's words beside Okta's own. */
export type LinePlan = Readonly<{
  expression: string;
  create_only?: true;
  when_empty?: "clear" | "keep" | "skip" | "default";
  default?: string;
}>;

/** `pushes`: groups by name; `push_rule`: groups by an expression. */
export type AppPlan = Readonly<{
  label: Label;
  grants: readonly GrantPlan[];
  lines: Readonly<Record<string, LinePlan>>;
  pushes: readonly string[];
  push_rule?: Readonly<{ name: string; expression: string }>;
}>;

const manager: LinePlan = {
  expression: 'getManagerUser("hr").login',
  when_empty: "default",
  default: "people@meridian.example",
};

export const apps: readonly AppPlan[] = [
  {
    label: "Chat",
    grants: [
      { group: "All employees", priority: 0 },
      { group: "Contractors", priority: 1 },
    ],
    lines: { manager, nickName: { expression: "user.firstName", create_only: true } },
    pushes: ["Engineering leads", "All employees", responders_group],
    push_rule: { name: "Departments", expression: 'String.startsWith(group.description, "Department")' },
  },
  {
    label: "Code",
    grants: [{ group: "Engineering", priority: 0, profile: { roles: ["developer"] } }],
    lines: {},
    // The group that gives the app is pushed to it as well.
    pushes: ["Engineering", "Engineering leads"],
  },
  {
    label: "Wiki",
    grants: [
      { group: "Product people", priority: 0, profile: { roles: ["author"] } },
      { group: "All employees", priority: 1, profile: { roles: ["reader"] } },
    ],
    lines: { manager },
    pushes: [],
  },
  {
    label: "Expenses",
    grants: [{ group: "All employees", priority: 0 }],
    lines: {},
    pushes: [],
  },
  {
    label: "Ticketing",
    grants: [
      { group: responders_group, priority: 0, profile: { roles: ["responder"] } },
      { group: "IT", priority: 1, profile: { roles: ["admin"] } },
      { group: "Customer Support", priority: 2, profile: { roles: ["agent"] } },
      { group: "Engineering", priority: 3, profile: { roles: ["reporter"] } },
    ],
    lines: {},
    pushes: [responders_group],
  },
  { label: badges_label, grants: [{ group: "Laboratory access", priority: 0 }], lines: {}, pushes: [] },
];

/** What an HR row says of a person, attribute by attribute. */
export const sourceLines: Readonly<Record<string, LinePlan>> = Object.fromEntries(
  [
    ...["login", "email", "firstName", "lastName", "title", "department", "division", "costCenter"],
    ...["countryCode", "city", "userType", "employeeNumber"],
  ]
    .map((name) => [name, `appuser.${name}`])
    .concat([
      ["managerId", "appuser.managerEmployeeNumber"],
      ["hireDate", "appuser.startDate"],
    ])
    .map(([name, expression]) => [name, { expression }]),
);

/** Expenses is licensed for so many people and days. */
export const licence = { label: "Expenses", seats: 300, days: 30 } as const;
