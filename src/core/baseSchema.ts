/**
 * The schemas everyone starts from, as data: Okta's 31 base attributes of a user (okta-lifecycle 4.1) and the two of a
 * group. They cannot be removed, and hardly changed: see `redefineAttribute` in core/schema.ts.
 *
 * Law: names, order, titles and lengths are those of Okta's default schema, so scripts that read or write it work.
 */
import type { Attribute, Schema } from "./types.ts";

/** Both must have something on each side of the @, and no spaces: more than that only a mail can tell. */
const email_pattern = "^[^@ ]+@[^@ ]+$";

function base(name: string, title: string, more: Partial<Attribute> = {}): Attribute {
  return {
    name,
    title,
    type: "string",
    array: false,
    required: false,
    writable: "always",
    readable: true,
    unique: false,
    case_exact: true,
    base: true,
    ...more,
  };
}

const email: Partial<Attribute> = { case_exact: false, min_length: 5, max_length: 100, pattern: email_pattern };

/** What every user type's schema begins with. */
export const baseUserSchema: Schema = {
  attributes: [
    base("login", "Username", { ...email, required: true, unique: true }),
    base("firstName", "First name", { required: true, min_length: 1, max_length: 50 }),
    base("lastName", "Last name", { required: true, min_length: 1, max_length: 50 }),
    base("middleName", "Middle name"),
    base("honorificPrefix", "Honorific prefix"),
    base("honorificSuffix", "Honorific suffix"),
    base("email", "Primary email", { ...email, required: true }),
    base("title", "Title"),
    base("displayName", "Display name"),
    base("nickName", "Nickname"),
    base("profileUrl", "Profile Url", { pattern: "^https?://[^ ]+$" }),
    base("secondEmail", "Secondary email", email),
    base("mobilePhone", "Mobile phone", { max_length: 100 }),
    base("primaryPhone", "Primary phone", { max_length: 100 }),
    base("streetAddress", "Street address"),
    base("city", "City"),
    base("state", "State"),
    base("zipCode", "Zip code"),
    base("countryCode", "Country code", { min_length: 2, max_length: 2, pattern: "^[A-Za-z]+$" }),
    base("postalAddress", "Postal Address"),
    base("preferredLanguage", "Preferred language"),
    base("locale", "Locale"),
    base("timezone", "Time zone"),
    base("userType", "User type"),
    base("employeeNumber", "Employee number"),
    base("costCenter", "Cost center"),
    base("organization", "Organization"),
    base("division", "Division"),
    base("department", "Department"),
    base("managerId", "ManagerId"),
    base("manager", "Manager"),
  ],
};

/** What the schema of groups begins with. */
export const baseGroupSchema: Schema = {
  attributes: [
    base("name", "Name", { required: true, unique: true, case_exact: false, min_length: 1, max_length: 255 }),
    base("description", "Description", { max_length: 1024 }),
  ],
};

/** Names no custom attribute may have, whatever the case: they mean something else in a user, or in JavaScript. */
export const reservedNames: ReadonlySet<string> = new Set([
  "id",
  "profile",
  "status",
  "transitioningtostatus",
  "created",
  "activated",
  "statuschanged",
  "lastlogin",
  "lastupdated",
  "passwordchanged",
  "type",
  "realm",
  "realmid",
  "password",
  "credentials",
  "_links",
  "_embedded",
  "class",
  "classloader",
  "constructor",
  "prototype",
  "__proto__",
]);
