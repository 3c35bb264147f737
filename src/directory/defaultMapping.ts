/**
 * The mapping a new app starts with: the attributes of its schema whose meaning is beyond doubt, from the user's base
 * attributes. Pure. Everything else is left to an administrator, because a wrong guess is written to every account.
 *
 * An attribute that the app requires keeps its value when the user has none; any other is cleared, so that the account
 * says what the user's profile says.
 */
import type { Attribute, MappingLine, MappingLines } from "../core/types.ts";

/** Attribute of an app, in lower case → expression. */
const expressions: ReadonlyMap<string, string> = new Map([
  ["username", "user.login"],
  ["login", "user.login"],
  ["givenname", "user.firstName"],
  ["firstname", "user.firstName"],
  ["familyname", "user.lastName"],
  ["lastname", "user.lastName"],
  ["sn", "user.lastName"],
  ["middlename", "user.middleName"],
  ["honorificprefix", "user.honorificPrefix"],
  ["honorificsuffix", "user.honorificSuffix"],
  ["displayname", 'user.displayName ?: (user.firstName + " " + user.lastName)'],
  ["cn", 'user.displayName ?: (user.firstName + " " + user.lastName)'],
  ["nickname", "user.nickName"],
  ["profileurl", "user.profileUrl"],
  ["email", "user.email"],
  ["mail", "user.email"],
  ["secondemail", "user.secondEmail"],
  ["mobilephone", "user.mobilePhone"],
  ["phonenumber", "user.primaryPhone"],
  ["primaryphone", "user.primaryPhone"],
  ["title", "user.title"],
  ["department", "user.department"],
  ["division", "user.division"],
  ["organization", "user.organization"],
  ["costcenter", "user.costCenter"],
  ["employeenumber", "user.employeeNumber"],
  ["usertype", "user.userType"],
  ["manager", "user.manager"],
  ["preferredlanguage", "user.preferredLanguage"],
  ["locale", "user.locale"],
  ["timezone", "user.timezone"],
  ["streetaddress", "user.streetAddress"],
  ["locality", "user.city"],
  ["city", "user.city"],
  ["region", "user.state"],
  ["state", "user.state"],
  ["postalcode", "user.zipCode"],
  ["zipcode", "user.zipCode"],
  ["country", "user.countryCode"],
  ["countrycode", "user.countryCode"],
]);

/** Lines for those attributes of an app's schema that have a plain counterpart in a user's profile. */
export function defaultLines(attributes: readonly Attribute[]): MappingLines {
  const lines: [string, MappingLine][] = [];
  for (const { name, type, array, writable, required } of attributes) {
    const expression = expressions.get(name.toLowerCase());
    if (expression === undefined || array || type !== "string" || writable === "never") continue;
    const push = writable === "create" ? "create" : "always";
    lines.push([name, { expression, push, when_empty: required ? "keep" : "clear" }]);
  }
  return Object.fromEntries(lines);
}

/**
 * The mapping a source starts with: its attributes that are called like an attribute of a user, in any case of letters;
 * a user name is what people sign in with.
 * `called`: how the source calls an attribute, in lower case, where the names differ.
 * An attribute that users must have keeps its value when the source has none.
 */
export function defaultSourceLines(
  attributes: readonly Attribute[],
  user: readonly Attribute[],
  called: Readonly<Record<string, string>> = {},
): MappingLines {
  const names = new Map(attributes.map(({ name }) => [name.toLowerCase(), name]));
  const lines = user.flatMap(({ name, required }): [string, MappingLine][] => {
    const from =
      names.get(name.toLowerCase()) ??
      names.get(called[name] ?? "") ??
      (name === "login" ? names.get("username") : undefined);
    if (from === undefined || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(from)) return [];
    return [[name, { expression: `appuser.${from}`, push: "always", when_empty: required ? "keep" : "clear" }]];
  });
  return Object.fromEntries(lines);
}

/** What an account has in an app without connector: a name to sign in with, and who it is. */
export const plainAttributes: readonly Attribute[] = (
  [
    ["userName", "User name"],
    ["email", "E-mail"],
    ["givenName", "Given name"],
    ["familyName", "Family name"],
    ["displayName", "Display name"],
  ] as const
).map(([name, title]) => ({
  name,
  title,
  type: "string",
  array: false,
  required: name === "userName",
  writable: "always",
  readable: true,
  unique: false,
  case_exact: name !== "userName" && name !== "email",
}));
