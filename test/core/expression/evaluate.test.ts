/** What expressions give for a person: nulls, groups, people around, time, sugar; and that nothing can hurt the engine. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkExpression, type Facts } from "../../../src/core/expression/expression.ts";
import { expressions, profiles } from "./generate.ts";
import { ada, checked, evaluated, mapping, rule } from "./world.ts";

test.each([
  // null and empty
  ['null + "x"', "x"],
  ["user.title + user.city", ""],
  ['user.title ?: "none"', "none"],
  ['user.city ?: "none"', "none"],
  ["user.isContractor ?: true", false],
  ["user.title == null", true],
  ['user.title == ""', false],
  ['user.city == ""', true],
  ["null == null", true],
  ["!null", true],
  ["null ? 1 : 2", 2],
  ['user.title < "a"', false],
  ["user.level + null", null],
  ["String.len(user.title)", 0],
  ["String.toUpperCase(user.title)", null],
  ['String.startsWith(user.title, "")', false],
  ['String.substringBefore(user.title, "x")', null],
  [
    'isBlank(user.title) AND isBlank(user.city) AND isBlank(" ") AND isBlank({}) AND !isBlank(0) AND !isBlank(false)',
    true,
  ],
  ['coalesce(user.title, user.city, "  ", user.department)', "Sales"],
  // operators
  ["user.salary + user.level", 1203],
  ['user.firstName + "." + user.lastName', "Ada.Lovelace"],
  ['"n" + 1 + 2', "n12"],
  ['1 + 2 + "n"', "3n"],
  ["7 % 4 - -1 * 2 / 4", 3.5],
  ["1 / 0", null],
  ["1e308 * 10", null],
  ['"" + 1e21 + 1e-7 + (0 - 0)', "10000000000000000000000.00000010"],
  ['"B" < "a" AND "Z" < "é" AND "\uffee" < "😀"', true],
  ['user.hireDate < "2026-02-20" AND user.endDate == "2026-03-11T10:00:00+01:00"', true],
  ['user.email matches "(?i)ADA[.].*@example\\.com"', true],
  ['user.isRemote ? "r" : user.isContractor ? "c" : "o"', "o"],
  // characters
  ['String.len("😀é")', 2],
  ['String.substring("😀éx", 1)', "éx"],
  ['String.substring("abc", 0-5, 99)', "abc"],
  ['String.substring("abc", 2, 1)', ""],
  ['String.replace("aaa", "", "x") + String.replace("a.a", ".", "$&")', "aaaa$&a"],
  // lists
  ["user.roles[1]", "dev"],
  ["user.roles[9]", null],
  ['user.csv.contains("b") AND Arrays.contains(user.csv, "b") AND Arrays.size(user.csv) == 3', true],
  ["Arrays.get(user.csv, 2)", "c"],
  ['Arrays.toCsvString(Arrays.add(Arrays.remove(user.roles, "dev"), "ops"))', "admin,ops"],
  ["Arrays.flatten(user.roles, null, {user.city, 1})", ["admin", "dev", "", 1]],
  ["user.roles.size() + user.roles.length()", 4],
  // groups
  ['isMemberOfGroupName("Sales") AND isMemberOfGroup("00g2") AND !isMemberOfAnyGroup("x", null)', true],
  [
    'isMemberOfGroupNameStartsWith("San Fr") AND isMemberOfGroupNameContains("Franc") AND isMemberOfGroupNameRegex("(?i)s.*")',
    true,
  ],
  ["user.getGroups({'group.type': {'OKTA_GROUP'}}).![name]", ["Sales"]],
  ["user.getGroups({'group.profile.name': 'Sa'}).![profile.name]", ["Sales", "San Francisco"]],
  ["user.getGroups({'group.profile.name': 'Sa', 'operator': 'EXACT'}).![id]", []],
  ["user.getGroups({'group.source.id': '0oa1'}, {'group.id': {'00g1', '00g2'}}).![id]", ["00g2"]],
  ["user.getGroups()[0].name + user.getGroups()[1].type", "SalesAPP_GROUP"],
  ["user.isMemberOf({'group.profile.name': 'San.*'})", true],
  ['Groups.startsWith("active_directory", "San", 10)', ["San Francisco"]],
  ['getFilteredGroups({"00g1", "00g2"}, "group.description", 1)', ["Sellers"]],
  // accounts and people
  ["appuser.userName + appuser.quota + app.domain + org.name + source.city", "ada5example.comAcme"],
  ["google_apps.email + google_apps_app.domain", "ada@g.exampleg.example"],
  ["workday.employeeID", null],
  ["hasDirectoryUser() ? findDirectoryUser().managerUpn : null", "bob@example.com"],
  ["hasWorkdayUser() ? findWorkdayUser().employeeID : null", null],
  ['getManagerUser("active_directory").firstName', "Grace"],
  ['getManagerAppUser("active_directory", "google_apps").email', "grace@g.example"],
  ['getAssistantUser("active_directory").firstName', null],
  ['user.getLinkedObject("buddy").profile.firstName', "Alan"],
  ['user.getInternalProperty("id") + user.getInternalProperty("status")', "00u1ACTIVE"],
  // sugar and odd names
  ["user.profile.department.toUpperCase().substring(0, 2)", "SA"],
  ['"12".toInteger() + 1', 13],
  ["'USA'.parseCountryCode().toName()", "United States"],
  ['user["odd-name"] + user.address.geo.lat + user.address.street', "odd5Main"],
  ["user.constructor", null],
  // dates
  ["Time.now()", "2026-03-01T09:00:00.000Z"],
  ['Time.now("America/New_York")', "2026-03-01T04:00:00.000-05:00"],
  ['DateTime.now().plusDays(10).minusHours(1).toString("EEEE d MMM yyyy, h:mm a")', "Wednesday 11 Mar 2026, 8:00 AM"],
  ["user.hireDate.plusMonths(1)", "2026-03-19"],
  ['Time.plusMonths("2026-01-31", 1)', "2026-02-28"],
  ["Time.daysSince(user.hireDate)", 10],
  ["Time.daysUntil(user.endDate)", 10],
  ["user.endDate.withinDays(10) AND !user.endDate.withinDays(9)", true],
  ['"31.12.2025 23:30 Europe/Paris".parseStringTime("dd.MM.yyyy HH:mm z")', "2025-12-31T22:30:00.000Z"],
  ['Time.fromStringToIso8601("29.02.2026", "dd.MM.yyyy")', null],
  ['Time.fromStringToIso8601("20260301", "yyyyMMdd")', "2026-03-01T00:00:00.000Z"],
  [
    'Time.fromIso8601ToString("2026-03-01T09:05:07.004+05:30", "yy-M-d \'at\' HH:mm:ss.SSS ZZ")',
    "26-3-1 at 09:05:07.004 +05:30",
  ],
  ['Time.fromIso8601ToUnix("not a date")', null],
])("%s gives %j", (text, expected) => {
  expect(evaluated(text)).toEqual(expected);
});

test("a value of another type than declared reads as null", () => {
  const profile = { firstName: 5, salary: "1200", isRemote: "true", roles: "admin", scores: ["x", 2], hireDate: false };
  expect(evaluated("user.firstName == null AND user.salary == null AND !user.isRemote", profile)).toBe(true);
  expect(evaluated("Arrays.size(user.roles)", profile)).toBe(0);
  expect(evaluated("user.scores[0] == null AND user.scores[1] == 2", profile)).toBe(true);
});

test("inherited properties are not attributes", () => {
  expect(evaluated("user.constructor", {})).toBeNull();
  expect(evaluated("user.address.__proto__.constructor.name", { address: {} })).toBeNull();
  const polluted = JSON.parse('{"__proto__": {"firstName": "evil"}}') as Facts["user"];
  expect(evaluated("user.firstName", polluted)).toBeNull();
  const inherited = Object.create({ firstName: "evil", level: 9, roles: ["admin"] }) as Facts["user"];
  expect(evaluated("user.firstName", inherited)).toBeNull();
  expect(evaluated("user.level", inherited)).toBeNull();
  expect(evaluated("Arrays.size(user.roles)", inherited)).toBe(0);
  expect(evaluated("user.firstName", Object.create(null) as Facts["user"])).toBeNull();
});

test("a day begins at midnight of the time zone", () => {
  const { compile } = checked('Time.daysUntil("2026-03-02")', mapping);
  expect(compile().evaluate({ ...ada, time_zone: "UTC" })).toEqual({ value: 1 });
  expect(compile().evaluate({ ...ada, now: new Date("2026-03-01T11:30:00Z"), time_zone: "Pacific/Auckland" })).toEqual({
    value: 0,
  });
  expect(compile().evaluate({ ...ada, time_zone: "No/Where" })).toEqual({ value: 1 });
});

test.each([
  [
    "a text that doubles",
    Array.from({ length: 30 }, () => "String.replace(").join("") +
      'user.login + "aa"' +
      Array.from({ length: 30 }, () => ', "a", "aa")').join(""),
    /longer than 10000/,
  ],
  ["joined texts", "user.login + user.login", /longer than 10000/],
  ["a copied text", "user.login", /longer than 10000/],
  ["a long list", "Arrays.flatten(user.roles, user.roles)", /longer than 10000/],
  [
    "much searching",
    Array.from({ length: 60 }, () => 'String.stringContains(user.csv, "x")').join(" OR ") + ' ? "1" : "2"',
    /more than 10000 steps/,
  ],
  ["a regular expression on a long text", 'user.csv matches "(a+)+(b|c|d|e){9}" ? "1" : "2"', /more than 10000 steps/],
])("%s ends with an error value, quickly", (_, text, message) => {
  const user = { login: "a".repeat(10_001), csv: "a".repeat(20_000), roles: Array.from({ length: 6_000 }, () => "a") };
  const started = performance.now();
  const result = checked(text)
    .compile()
    .evaluate({ ...ada, user });
  expect("error" in result && result.error).toMatch(message);
  expect(performance.now() - started).toBeLessThan(500);
});

test("an error is not a no: test gives the error, so a rule can keep what is", () => {
  const { compile } = checked('user.login + "x" == "y"', rule);
  expect(compile().test(ada)).toBe(false);
  expect(compile().test({ ...ada, user: { login: "x".repeat(10_001) } })).toEqual({
    error: expect.stringMatching(/longer than/),
  });
});

test.each([
  ["sums", Array.from({ length: 990 }, () => "1").join("+"), 990],
  ["joined texts", `user.title${'+"ab"'.repeat(900)}`, "ab".repeat(900)],
  ["methods", `user.title${'.append("a")'.repeat(660)}`, "a".repeat(660)],
  ["alternatives", `user.city == "x"${' OR user.city == ""'.repeat(380)}`, true],
  ["objects", `user.address${".a".repeat(1_500)}`, null],
])("a long chain of %s is checked, compiled, written and evaluated in no time", (_, text, expected) => {
  const started = performance.now();
  const expression = checked(text);
  expect(expression.compile().evaluate(ada)).toEqual({ value: expected });
  expression.sql({ now: ada.now, time_zone: "UTC" });
  expect(performance.now() - started).toBeLessThan(500);
});

test("facts that fail become an error of this one person", () => {
  const manager = (): never => {
    throw new Error("no such table");
  };
  const result = checked('getManagerUser("active_directory").city')
    .compile()
    .evaluate({ ...ada, manager });
  expect(result).toEqual({ error: "The expression could not be evaluated: no such table" });
});

test("whatever the checker accepts gives a value of its type or an error for whoever it is", () => {
  const any = fc.oneof(expressions.text, expressions.number, expressions.condition, expressions.list);
  fc.assert(
    fc.property(any, fc.array(profiles, { minLength: 3, maxLength: 3 }), (text, people) => {
      const outcome = checkExpression(text, mapping);
      if ("problems" in outcome) return;
      const { compile, type } = outcome.ok;
      for (const user of people) {
        const result = compile().evaluate({ ...ada, user });
        if ("error" in result) throw new Error(result.error);
        const { value } = result;
        if (value === null || type === "any") continue;
        const actual = Array.isArray(value) ? "list" : typeof value;
        expect(actual).toBe(typeof type === "object" ? "list" : type === "date" ? "string" : type);
      }
    }),
    { numRuns: 3_000 },
  );
});
