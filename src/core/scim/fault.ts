/**
 * What is wrong with a SCIM request, as a value: HTTP status, RFC 7644's word for it (table 9), and a sentence that says
 * what and what to do. `errorBody` is how it goes out.
 */

export type ScimType =
  | "invalidFilter"
  | "tooMany"
  | "uniqueness"
  | "mutability"
  | "invalidSyntax"
  | "invalidPath"
  | "noTarget"
  | "invalidValue"
  | "invalidVers"
  | "sensitive"
  | "invalidCursor"
  | "invalidCount";

export type ScimFault = Readonly<{ status: number; type?: ScimType; detail: string }>;

/** A result, or what was wrong. */
export type Judged<T> = Readonly<{ ok: T }> | Readonly<{ fault: ScimFault }>;

export const error_urn = "urn:ietf:params:scim:api:messages:2.0:Error";

/** A fault of status 400. */
export const wrong = (type: ScimType, detail: string): ScimFault => ({ status: 400, type, detail });

/** The body of an error; its status is a text, as the RFC has it. */
export function errorBody({ status, type, detail }: ScimFault) {
  return { schemas: [error_urn], status: `${status}`, ...(type ? { scimType: type } : {}), detail };
}
