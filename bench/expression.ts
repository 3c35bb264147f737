/**
 * How fast closures are: simple rules and mapping lines per CPU-second, on one core. Run: `node bench/expression.ts`.
 * Targets: 10 M simple rules, 1 M mapping lines.
 */
import { checkExpression, type Environment, type Facts } from "../src/core/expression/expression.ts";

const attributes = ["firstName", "lastName", "email", "department", "city", "title"];
const environment: Environment = {
  context: "mapping",
  user: [
    ...attributes.map((name) => ({ name, type: "string" as const, array: false })),
    { name: "salary", type: "number", array: false },
  ],
};
const rules = [
  'user.department == "Sales"',
  'String.startsWith(user.email, "a") AND user.salary > 1000',
  'user.city == "Paris" OR user.title == "Clerk"',
];
const lines = [
  "user.firstName",
  'user.firstName + "." + user.lastName',
  "String.toLowerCase(user.email)",
  'String.substringBefore(user.email, "@")',
  "toUpperCase(substring(user.firstName, 0, 1)) + user.lastName",
  'user.department == "Sales" ? "seller" : "staff"',
  'user.title ?: "none"',
];

/** People with profiles of one shape, as rows from the database have. */
const people: readonly Facts[] = Array.from({ length: 1_000 }, (_, index) => ({
  user: {
    ...{ firstName: `First${index}`, lastName: `Last${index}`, email: `A${index}.b@Example.com`, city: "Paris" },
    ...{ department: index % 3 === 0 ? "Sales" : "Legal", salary: index, title: index % 5 === 0 ? "" : "Clerk" },
  },
  user_id: `00u${index}`,
  user_status: "ACTIVE",
  groups: [],
  now: new Date(0),
  time_zone: "UTC",
}));

function measure(title: string, texts: readonly string[]): void {
  const compiled = texts.map((text) => {
    const outcome = checkExpression(text, environment);
    if ("problems" in outcome) throw new Error(outcome.problems[0]!.message);
    return outcome.ok.compile();
  });
  const rounds = 2_000;
  for (const measured of [false, true]) {
    const before = process.cpuUsage();
    let hits = 0;
    for (let round = 0; round < (measured ? rounds : rounds / 10); round += 1) {
      for (const facts of people) for (const one of compiled) if (one.test(facts) === true) hits += 1;
    }
    const spent = process.cpuUsage(before);
    if (!measured) continue;
    const count = rounds * people.length * compiled.length;
    const per_second = count / ((spent.user + spent.system) / 1e6);
    console.log(`${title}: ${(per_second / 1e6).toFixed(1)} M per CPU-second (${hits} hits)`);
  }
}

measure("simple rules", rules);
measure("mapping lines", lines);
