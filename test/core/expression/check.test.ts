/** The checker finds every mistake before anyone is touched, and says line, column and what to do. */
import { expect, test } from "vitest";
import { checkExpression, type Environment, type Problem } from "../../../src/core/expression/expression.ts";
import { checked, mapping, push_rule, rule } from "./world.ts";

function problems(text: string, environment: Environment = mapping): readonly Problem[] {
  const outcome = checkExpression(text, environment);
  return "problems" in outcome ? outcome.problems : [];
}

const spoken = ({ message, line, column, hint }: Problem): string =>
  `${line}:${column} ${message}${hint === undefined ? "" : ` ${hint}`}`;

test.each([
  [
    "user.departmnt",
    "1:1 There is no attribute user.departmnt. Did you mean user.department? Upper and lower case differ.",
  ],
  [
    "user.Department",
    "1:1 There is no attribute user.Department. Did you mean user.department? Upper and lower case differ.",
  ],
  ["user.status", '1:1 There is no attribute user.status. Write user.getInternalProperty("status").'],
  [
    "user.__proto__",
    "1:1 There is no attribute user.__proto__. It has firstName, lastName, email, login, department, title, city, csv and 11 more.",
  ],
  ["firstName", "1:1 firstName must say whose it is. Write user.firstName."],
  ["usr.firstName", "1:1 Unknown name usr. Did you mean user?"],
  [
    "Sales",
    '1:1 Unknown name Sales. Put texts in quotes: "Sales". Known names: user, appuser, source, app, org, active_directory, google_apps, workday.',
  ],
  ["user", "1:1 user is a whole profile, not a value. Name an attribute: user.email"],
  [
    "session.amr",
    "1:1 There is no session here. A session exists only while somebody signs in; use user, appuser or org.",
  ],
  [
    "google_apps.mail",
    "1:1 There is no attribute google_apps.mail. Did you mean google_apps.email? Upper and lower case differ.",
  ],
  ["String.toUppercase(user.city)", "1:1 Unknown function String.toUppercase. Did you mean String.toUpperCase(…)?"],
  ["string.toUpperCase(user.city)", "1:1 Unknown name string. Did you mean String.toUpperCase?"],
  ["user.city.toUpper()", "1:1 Unknown function toUpper. Did you mean toNumber?"],
  ["String.len()", '1:1 String.len takes 1 argument (text), but 0 are given. For example String.len("This").'],
  [
    "String.substring(user.city)",
    '1:1 String.substring takes 2 to 3 arguments (text, start, end), but 1 is given. For example String.substring("This is a test", 2, 9).',
  ],
  [
    'String.stringSwitch(user.city, "d", "k")',
    '1:1 String.stringSwitch takes 2 and then pairs of key, value arguments (text, default, key, value), but 3 are given. For example String.stringSwitch("Substrings count", "default", "ring", "value1").',
  ],
  [
    'String.substring(user.city, "1", 2)',
    "1:29 String.substring: argument 2 (start) must be a number, but this is text. Convert it with Convert.toInt(…) or Convert.toNum(…).",
  ],
  [
    "String.toUpperCase(user.roles)",
    "1:20 String.toUpperCase: argument 1 (text) must be text, but this is a list of text. Take one element with [0], or join them with Arrays.toCsvString(…).",
  ],
  [
    "user.city == 123",
    '1:1 Text can never equal a number. Write the number as text: "123", or convert the text with Convert.toInt(…).',
  ],
  ['user.isRemote == "true"', "1:1 True or false can never equal text. Write true without quotes."],
  [
    'user.roles == "admin"',
    "1:1 A list of text can never equal text. Use Arrays.contains(list, value) to look into a list.",
  ],
  [
    "user.city ? 1 : 2",
    '1:1 What stands before ? must be true or false, but this is text. Compare it: == "some text", or use !isBlank(…) to ask whether it has a value.',
  ],
  [
    "user.salary AND true",
    "1:1 What stands before AND must be true or false, but this is a number. Compare it with ==, < or >.",
  ],
  [
    "!user.city",
    '1:2 What stands after ! must be true or false, but this is text. Compare it: == "some text", or use !isBlank(…) to ask whether it has a value.',
  ],
  ["user.isRemote < true", "1:1 True or false and true or false have no order. Compare two texts, numbers or dates."],
  [
    "user.salary < user.city",
    '1:1 A number and text have no order. Convert one side with Convert.toInt(…), Convert.toNum(…) or by adding "" to it.',
  ],
  ['user.hireDate < "soon"', '1:17 "soon" is not a date. Write it as "2026-03-01" or "2026-03-01T09:00:00Z".'],
  [
    "user.roles + 'x'",
    "1:1 + does not work on a list of text. Use Arrays.add(list, value) or Arrays.flatten(list, list).",
  ],
  ["user.city - 1", "1:1 - works on numbers, and this is text. Convert it with Convert.toInt(…) or Convert.toNum(…)."],
  ["user.city.x", "1:1 Text has no attribute x."],
  [
    "user.roles.x",
    "1:1 A list of text has no attribute x. Take one element first: [0], or one property of each: .![x]",
  ],
  ["user.city[0]", ""],
  ["user.salary[0]", "1:1 Only a list has positions, and this is a number."],
  [
    "user.city matches user.title",
    '1:19 The regular expression after matches must be written in quotes. For example user.email matches ".*@example[.]com".',
  ],
  [
    'user.city matches "(a+)+\\1"',
    "1:19 The regular expression cannot be used: it refers back to a group (\\1), which cannot run in linear time. Write the repeated part again.",
  ],
  [
    'user.city\n  matches "(?=x)"',
    "2:11 The regular expression cannot be used: it looks ahead or behind ((?= (?! (?<= (?<!), which cannot run in linear time. Split the test into two matches joined with AND or !.",
  ],
  [
    'isMemberOfGroupNameRegex("[a")',
    '1:1 isMemberOfGroupNameRegex: The pattern cannot be used: a [ is not closed. For example isMemberOfGroupNameRegex("S.*").',
  ],
  [
    'user.getLinkedObject("mentor").firstName',
    '1:1 There is no linked object named "mentor". Define the link in the schema first.',
  ],
  [
    "user.getLinkedObject(user.city).firstName",
    '1:1 user.getLinkedObject takes the link in quotes. Write user.getLinkedObject("…").',
  ],
  [
    'getManagerUser("active_directory")',
    "1:1 getManagerUser(…) is a whole profile, not a value. Name an attribute: getManagerUser(…).email",
  ],
  [
    'getManagerAppUser("active_directory", "gogle_apps").email',
    '1:1 There is no app named "gogle_apps". Did you mean "google_apps"?',
  ],
  [
    'user.getInternalProperty("created")',
    '1:1 user.getInternalProperty takes "id" or "status". Write user.getInternalProperty("status").',
  ],
  ["user.getGroups({'group.name': 'x'})", "1:31 Groups cannot be filtered by 'group.name'. Did you mean 'group.type'?"],
  [
    "user.getGroups({'group.id': 'x', 'operator': 'LIKE'})",
    "1:46 The operator of a group filter is 'EXACT' or 'STARTS_WITH'.",
  ],
  [
    "user.getGroups({'group.type': 'x'})",
    "1:1 A group is not a value to map. Take one property of it: .![name], or [0].name",
  ],
  ["{'a': 1}", "1:1 A filter in braces stands only in user.getGroups and user.isMemberOf."],
  [
    'Time.now("Mars/Phobos")',
    '1:1 Time.now: "Mars/Phobos" is not a time zone; write one such as "Europe/Paris". For example Time.now("UTC", "YYYY-MM-dd HH:mm:ss").',
  ],
  [
    'Time.fromIso8601ToString(user.hireDate, "jj")',
    '1:1 Time.fromIso8601ToString: The format has the unknown letter j; put texts in single quotes. For example Time.fromIso8601ToString("2015-07-31T17:18:37Z", "dd.MM.yyyy").',
  ],
])("in a mapping, %s: %s", (text, expected) => {
  expect(problems(text).map(spoken).join("\n")).toBe(expected);
});

test.each([
  [
    "user.department",
    '1:1 The result of a group rule must be true or false, but this is text. Compare it, such as user.department == "Sales".',
  ],
  [
    'appuser.userName == "ada"',
    "1:1 appuser belongs to an app, and a group rule cannot read apps. Map the value to a user attribute first, and use that attribute here.",
  ],
  [
    'google_apps.email == "x"',
    "1:1 google_apps belongs to an app, and a group rule cannot read apps. Map the value to a user attribute first, and use that attribute here.",
  ],
  [
    "hasDirectoryUser()",
    "1:1 hasDirectoryUser() belongs to an app, and a group rule cannot read apps. Map the value to a user attribute first, and use that attribute here.",
  ],
  [
    'group.name == "x"',
    '1:1 group stands only in a push rule, not in a group rule. Use isMemberOfGroupName("…") to ask about the user\'s groups.',
  ],
  ["Time.daysSince(user.hireDate) > 90", ""],
  ['Convert.toInt(user.title) == 5 AND user.getInternalProperty("status") != "SUSPENDED"', ""],
  ['getManagerUser("active_directory").department == "Sales"', ""],
])("in a group rule, %s: %s", (text, expected) => {
  expect(problems(text, rule).map(spoken).join("\n")).toBe(expected);
});

test.each([
  ['String.startsWith(group.name, "Sales") AND group.type == "OKTA_GROUP" AND group.id != "00g1"', ""],
  [
    'user.department == "Sales"',
    "1:1 A push rule is about a group, not a user. Write group.name or group.description.",
  ],
  [
    'isMemberOfGroup("00g1")',
    '1:1 isMemberOfGroup asks about a user\'s groups, and a push rule is about a group. Test the group itself, such as String.startsWith(group.name, "Sales").',
  ],
  ['group.nme == "x"', "1:1 There is no attribute group.nme. Did you mean group.name? Upper and lower case differ."],
])("in a push rule, %s: %s", (text, expected) => {
  expect(problems(text, push_rule).map(spoken).join("\n")).toBe(expected);
});

test("all mistakes of an expression are found in one go, twenty at most", () => {
  expect(problems("user.a == user.b AND user.c.d()").map(({ column }) => column)).toEqual([1, 11, 22, 22]);
  expect(problems(Array.from({ length: 40 }, (_, index) => `user.x${index}`).join(" + "))).toHaveLength(20);
});

test.each([
  ["user.firstName + user.level", "string"],
  ["user.salary * 2", "number"],
  ["user.hireDate", "date"],
  ["user.isRemote ? 1 : null", "number"],
  ['user.isRemote ? 1 : "x"', "any"],
  ["user.roles", { list: "string" }],
  ["user.roles[0]", "string"],
  ["user.address.street", "any"],
  ["user.getGroups().![profile.name]", { list: "string" }],
  ["{1, 2}", { list: "number" }],
  ["coalesce(user.city, null)", "string"],
])("%s has the type %j", (text, type) => {
  expect(checked(text).type).toEqual(type);
});

test.each([
  ['user.department == "Sales" AND user.city != user.title', { user: ["city", "department", "title"] }],
  [
    "appuser.userName + app.domain + org.name + source.city",
    { appuser: ["userName"], app: ["domain"], org: ["name"], source: ["city"] },
  ],
  [
    "google_apps.email + google_apps_app.domain",
    { accounts: { google_apps: ["email"] }, apps: { google_apps: ["domain"] } },
  ],
  ["hasDirectoryUser() ? findDirectoryUser().managerUpn : null", { directories: { active_directory: ["managerUpn"] } }],
  [
    'getManagerUser("active_directory").firstName + user.getLinkedObject("buddy").city',
    { people: { manager: ["firstName"], "link:buddy": ["city"] } },
  ],
  ['getManagerAppUser("active_directory", "google_apps").email', { people: { manager: ["google_apps.email"] } }],
  ['user.getInternalProperty("status") == "ACTIVE"', { status: true }],
  ["Time.daysUntil(user.endDate) <= 3", { user: ["endDate"], clock: true }],
  [
    'isMemberOfGroup("00g1") OR isMemberOfGroupName("A") OR isMemberOfGroupNameStartsWith("B") OR isMemberOfGroupNameContains("C") OR isMemberOfGroupNameRegex("D.*")',
    { groups: { ids: ["00g1"], names: ["A"], prefixes: ["B"], parts: ["C"], patterns: ["D.*"], all: false } },
  ],
  [
    "isMemberOfGroupName(user.department)",
    { user: ["department"], groups: { ids: [], names: [], prefixes: [], parts: [], patterns: [], all: true } },
  ],
  [
    "user.isMemberOf({'group.id': {'00g1'}}, {'group.profile.name': {'A'}, 'operator': 'EXACT'})",
    { groups: { ids: ["00g1"], names: ["A"], prefixes: [], parts: [], patterns: [], all: false } },
  ],
])("%s depends on exactly that", (text, expected) => {
  const nothing = {
    user: [],
    appuser: [],
    source: [],
    app: [],
    org: [],
    group: [],
    accounts: {},
    apps: {},
    directories: {},
    groups: null,
    people: {},
    status: false,
    clock: false,
  };
  expect(checked(text).dependencies).toEqual({ ...nothing, ...expected });
});

test.each([
  ["user.salary * 2 > 100", /overflow/],
  ['user.address.city == "x"', /any kind/],
  ['Arrays.contains(Arrays.add(user.roles, "x"), "x")', /Arrays\.add is computed only by a closure/],
  ['getManagerUser("active_directory").city == "x"', /other people/],
  ['isMemberOfGroupNameRegex("S.*")', /isMemberOfGroupNameRegex is computed only by a closure/],
  ['user.city matches "\\bx\\b.*"', /no exact form/],
  ['String.substring(user.city, user.level) == ""', /places/],
])("%s runs as a closure, and the reason says why", (text, reason) => {
  const { backend, sql } = checked(text, { ...rule });
  expect(backend.kind === "closure" && backend.reason).toMatch(reason);
  expect(sql({ now: new Date(0), time_zone: "UTC" })).toBeNull();
});

test("no text of an expression is part of its SQL", () => {
  const hostile = `user["odd-name"] == "'; drop table users; --" OR isMemberOfGroupName('$1::text) or true --') OR user.city matches "a'.*"`;
  const written = checked(hostile, rule).sql({
    now: new Date(0),
    time_zone: "UTC",
    first_parameter: 7,
    user: "people",
  })!;
  expect(written.text).not.toMatch(/drop|odd|true --|a'/);
  expect(written.text).toContain("people.profile");
  const used = new Set([...written.text.matchAll(/\$(\d+)/g)].map((found) => Number(found[1])));
  expect([...used].sort((left, right) => left - right)).toEqual([7, 8, 9, 10, 11]);
  expect(written.values).toHaveLength(5);
});

test("texts are ordered by character code in SQL, whatever the locale of the database", () => {
  // PGlite orders so by default and could not tell; a database with a language's own order would.
  const written = checked("user.city < user.title", rule).sql({ now: new Date(0), time_zone: "UTC" })!;
  expect(written.text).toMatch(/ < .* collate "C"\)$/);
});
