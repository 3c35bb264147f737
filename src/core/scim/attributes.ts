/**
 * The accounts of SCIM as flat attributes: `name.givenName` is our `givenName`, and `external_name` keeps the SCIM path.
 * The list is RFC 7643's user with the enterprise extension.
 *
 * Pure. Called by connectors/scim for apps, and by the inbound service for what sources have.
 */
import type { Attribute } from "../types.ts";
import { enterprise_urn, parsePath, type ScimPath } from "./path.ts";

/** An attribute with its path parsed. `root`: the resource's own property in which it is, in lower case. */
export type Placed = Readonly<{ attribute: Attribute; path: ScimPath; root: string }>;
export type PlacedSchema = ReadonlyMap<string, Placed>;

type Line = readonly [name: string, path: string, title: string, more?: Partial<Attribute>];

const loose = { case_exact: false } as const;

const base_lines: readonly Line[] = [
  ["userName", "userName", "User name", { required: true, unique: true, case_exact: false }],
  ["externalId", "externalId", "External id"],
  ["givenName", "name.givenName", "Given name"],
  ["familyName", "name.familyName", "Family name"],
  ["middleName", "name.middleName", "Middle name"],
  ["honorificPrefix", "name.honorificPrefix", "Title before the name"],
  ["honorificSuffix", "name.honorificSuffix", "Title after the name"],
  ["formattedName", "name.formatted", "Full name"],
  ["displayName", "displayName", "Display name"],
  ["nickName", "nickName", "Nickname"],
  ["profileUrl", "profileUrl", "Profile page"],
  ["email", 'emails[type eq "work"].value', "E-mail", loose],
  ["secondEmail", 'emails[type eq "home"].value', "Private e-mail", loose],
  ["phoneNumber", 'phoneNumbers[type eq "work"].value', "Phone"],
  ["mobilePhone", 'phoneNumbers[type eq "mobile"].value', "Mobile phone"],
  ["title", "title", "Job title"],
  ["userType", "userType", "Kind of worker"],
  ["preferredLanguage", "preferredLanguage", "Language", loose],
  ["locale", "locale", "Locale", loose],
  ["timezone", "timezone", "Time zone", loose],
  ["streetAddress", 'addresses[type eq "work"].streetAddress', "Street"],
  ["locality", 'addresses[type eq "work"].locality', "City"],
  ["region", 'addresses[type eq "work"].region', "State or region"],
  ["postalCode", 'addresses[type eq "work"].postalCode', "Postal code"],
  ["country", 'addresses[type eq "work"].country', "Country"],
  ["roles", "roles.value", "Roles", { array: true }],
  ["entitlements", "entitlements.value", "Entitlements", { array: true }],
  ["employeeNumber", `${enterprise_urn}:employeeNumber`, "Employee number"],
  ["costCenter", `${enterprise_urn}:costCenter`, "Cost centre"],
  ["organization", `${enterprise_urn}:organization`, "Organisation"],
  ["division", `${enterprise_urn}:division`, "Division"],
  ["department", `${enterprise_urn}:department`, "Department"],
  ["manager", `${enterprise_urn}:manager.value`, "Manager", { type: "reference" }],
];

/** An attribute of a line: texts that may be written, unless the line says otherwise. */
export function madeAttribute([name, external_name, title, more]: Line): Attribute {
  return {
    name,
    title,
    external_name,
    type: "string",
    array: false,
    required: false,
    writable: "always",
    readable: true,
    unique: false,
    case_exact: true,
    ...more,
  };
}

/** RFC 7643's user, flat. */
export const baseAttributes: readonly Attribute[] = base_lines.map(madeAttribute);

/** The attribute with its path; null: its external name is no SCIM path. */
export function placeAttribute(attribute: Attribute): Placed | null {
  const path = parsePath(attribute.external_name ?? attribute.name);
  return path === null ? null : { attribute, path, root: (path.urn ?? path.attribute).toLowerCase() };
}
