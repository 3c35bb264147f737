/**
 * How fast closures are: simple rules and mapping lines per CPU-second, on one core. The ceiling is the same rules written
 * by hand as functions. Targets: 10 M simple rules, 1 M mapping lines.
 */
import process from "node:process";
import { checkExpression, type Environment, type Facts } from "../src/core/expression/expression.ts";
import type { Bench } from "./frame/bench.ts";

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

/** The rules above by hand. */
const by_hand: readonly ((user: Facts["user"]) => boolean)[] = [
  (user) => user["department"] === "Sales",
  (user) => String(user["email"]).startsWith("a") && Number(user["salary"]) > 1000,
  (user) => user["city"] === "Paris" || user["title"] === "Clerk",
];

const rounds = 2_000;

/** Evaluations per CPU-second, after a tenth as warm-up. */
function perSecond(
  tests: readonly ((facts: Facts) => unknown)[],
  size: number,
): Readonly<{ rate: number; cpu_s: number }> {
  let hits = 0;
  for (const times of [size / 10, size]) {
    const before = process.cpuUsage();
    for (let round = 0; round < times; round += 1) {
      for (const facts of people) for (const test of tests) if (test(facts) === true) hits += 1;
    }
    const spent = process.cpuUsage(before);
    const cpu_s = (spent.user + spent.system) / 1e6;
    if (times === size && hits >= 0) return { rate: (size * people.length * tests.length) / cpu_s, cpu_s };
  }
  return { rate: 0, cpu_s: 0 };
}

const compiled = (texts: readonly string[]) =>
  texts.map((text) => {
    const outcome = checkExpression(text, environment);
    if ("problems" in outcome) throw new Error(outcome.problems[0]?.message ?? text);
    const one = outcome.ok.compile();
    return (facts: Facts) => one.test(facts);
  });

export const bench: Bench = {
  name: "expression",
  about: "rules and mapping lines as closures, per CPU-second",
  default_size: rounds,
  run: async (_ground, { size }) => {
    const simple = perSecond(compiled(rules), size);
    const mapping = perSecond(compiled(lines), size);
    const ceiling = perSecond(
      by_hand.map((test) => (facts: Facts) => test(facts.user)),
      size,
    );
    return {
      size,
      seconds: simple.cpu_s,
      rate: simple.rate,
      ceiling_rate: ceiling.rate,
      ratio: simple.rate / ceiling.rate,
      mapping_rate: mapping.rate,
      rss_peak_mb: process.memoryUsage.rss() / 2 ** 20,
      cpu_node_s: simple.cpu_s,
      cpu_postgres_s: 0,
    };
  },
};
