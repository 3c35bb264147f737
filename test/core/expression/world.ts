/** A small company to evaluate expressions in: schemas around a person, and the person as facts. */
import type { Checked, Environment, Facts, Judged, Shape } from "../../../src/core/expression/expression.ts";
import { checkExpression } from "../../../src/core/expression/expression.ts";
import type { Profile, Value } from "../../../src/core/types.ts";

export const user_shape: Shape = [
  { name: "firstName", type: "string", array: false },
  { name: "lastName", type: "string", array: false },
  { name: "email", type: "string", array: false },
  { name: "login", type: "string", array: false },
  { name: "department", type: "string", array: false },
  { name: "title", type: "string", array: false },
  { name: "city", type: "string", array: false },
  { name: "csv", type: "string", array: false },
  { name: "salary", type: "number", array: false },
  { name: "level", type: "integer", array: false },
  { name: "isContractor", type: "boolean", array: false },
  { name: "isRemote", type: "boolean", array: false },
  { name: "hireDate", type: "date", array: false },
  { name: "endDate", type: "date", array: false },
  { name: "roles", type: "string", array: true },
  { name: "scores", type: "number", array: true },
  { name: "address", type: "object", array: false },
  { name: "odd-name", type: "string", array: false },
  { name: "constructor", type: "string", array: false },
];

export const mapping: Environment = {
  context: "mapping",
  user: user_shape,
  appuser: [
    { name: "userName", type: "string", array: false },
    { name: "quota", type: "number", array: false },
  ],
  source: user_shape,
  app: [{ name: "domain", type: "string", array: false }],
  org: [{ name: "name", type: "string", array: false }],
  accounts: {
    active_directory: [{ name: "managerUpn", type: "string", array: false }],
    google_apps: [{ name: "email", type: "string", array: false }],
    workday: [{ name: "employeeID", type: "string", array: false }],
  },
  apps: { google_apps: [{ name: "domain", type: "string", array: false }] },
  links: ["manager", "buddy"],
};

export const rule: Environment = { ...mapping, context: "rule" };
export const push_rule: Environment = {
  context: "push_rule",
  group: [
    { name: "name", type: "string", array: false },
    { name: "description", type: "string", array: false },
  ],
  org: mapping.org!,
};

export const ada: Facts = {
  user: {
    firstName: "Ada",
    lastName: "Lovelace",
    email: "ada.lovelace@example.com",
    login: "ada.lovelace@example.com",
    department: "Sales",
    city: "",
    csv: "a,b,c",
    salary: 1200,
    level: 3,
    isContractor: false,
    hireDate: "2026-02-19",
    endDate: "2026-03-11T09:00:00Z",
    roles: ["admin", "dev"],
    scores: [1, 2.5],
    address: { street: "Main", geo: { lat: 5 } },
    "odd-name": "odd",
  },
  user_id: "00u1",
  user_status: "ACTIVE",
  groups: [
    {
      id: "00g1",
      name: "Sales",
      type: "OKTA_GROUP",
      source_id: null,
      profile: { name: "Sales", description: "Sellers" },
    },
    { id: "00g2", name: "San Francisco", type: "APP_GROUP", source_id: "0oa1", source_name: "active_directory" },
  ],
  appuser: { userName: "ada", quota: 5 },
  app: { domain: "example.com" },
  org: { name: "Acme" },
  account: (app) => (app === "google_apps" ? { email: "ada@g.example" } : null),
  accounts_of: (kind) => (kind === "active_directory" ? [{ managerUpn: "bob@example.com" }] : []),
  app_named: () => ({ domain: "g.example" }),
  manager: () => ({ id: "00u2", profile: { firstName: "Grace" }, account: () => ({ email: "grace@g.example" }) }),
  assistant: () => null,
  linked: (name) => (name === "buddy" ? { id: "00u3", profile: { firstName: "Alan" } } : null),
  now: new Date("2026-03-01T09:00:00Z"),
  time_zone: "UTC",
};

/** The checked expression; fails the test with the problems otherwise. */
export function checked(text: string, environment: Environment = mapping): Checked {
  const outcome: Judged<Checked> = checkExpression(text, environment);
  if ("ok" in outcome) return outcome.ok;
  throw new Error(`${text}: ${JSON.stringify(outcome.problems)}`);
}

/** The value of an expression for Ada, or for Ada with another profile. */
export function evaluated(text: string, profile?: Profile, environment: Environment = mapping): Value {
  const result = checked(text, environment)
    .compile()
    .evaluate(profile ? { ...ada, user: profile } : ada);
  if ("error" in result) throw new Error(`${text}: ${result.error}`);
  return result.value;
}
