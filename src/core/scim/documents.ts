/**
 * What the service says of itself: Schemas, ResourceTypes and ServiceProviderConfig (RFC 7643 5 to 7, RFC 9865).
 */
import type { Definition, ResourceSchema } from "./definitions.ts";
import { operations_max } from "./patch.ts";

export const list_urn = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const schema_urn = "urn:ietf:params:scim:schemas:core:2.0:Schema";
const type_urn = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const config_urn = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/** Resources of one page. */
export const page_max = 1_000;
export const page_default = 100;
export const bulk_operations_max = 1_000;
export const body_bytes_max = 8 * 1024 * 1024;

type Json = Readonly<Record<string, unknown>>;

function attributeDocument(one: Definition): Json {
  const { name, type, multi, required, exact, mutability, returned, unique, subs } = one;
  return {
    ...{ name, type, multiValued: multi, description: name, required, mutability, returned },
    ...{ caseExact: exact, uniqueness: unique ? "server" : "none" },
    ...(type === "reference" ? { referenceTypes: name === "$ref" ? ["User", "Group"] : ["external"] } : {}),
    ...(subs.length > 0 ? { subAttributes: subs.map(attributeDocument) } : {}),
  };
}

const described = (base: string, id: string, name: string, attributes: readonly Definition[]): Json => ({
  ...{ schemas: [schema_urn], id, name, description: name },
  // Those that every resource has are not part of its schema (RFC 7643 3.1).
  attributes: attributes.filter((one) => !["id", "externalId", "meta"].includes(one.name)).map(attributeDocument),
  meta: { resourceType: "Schema", location: `${base}/Schemas/${id}` },
});

/** Every schema of a source's resources. */
export function schemaDocuments(base: string, all: readonly ResourceSchema[]): readonly Json[] {
  return all.flatMap(({ type, urn, attributes, extensions }) => [
    described(base, urn, type, attributes),
    ...extensions.map((one) => described(base, one.urn, one.name, one.attributes)),
  ]);
}

/** Both types of resource. */
export function typeDocuments(base: string, all: readonly ResourceSchema[]): readonly Json[] {
  return all.map(({ type, urn, extensions }) => ({
    ...{ schemas: [type_urn], id: type, name: type, endpoint: `/${type}s`, description: type, schema: urn },
    schemaExtensions: extensions.map((one) => ({ schema: one.urn, required: false })),
    meta: { resourceType: "ResourceType", location: `${base}/ResourceTypes/${type}` },
  }));
}

/** What the service can do. */
export function configDocument(base: string, strict: boolean): Json {
  return {
    schemas: [config_urn],
    patch: { supported: true, maxOperations: operations_max },
    bulk: { supported: true, maxOperations: bulk_operations_max, maxPayloadSize: body_bytes_max },
    filter: { supported: true, maxResults: page_max },
    changePassword: { supported: false },
    sort: { supported: true },
    etag: { supported: true },
    pagination: {
      ...{ cursor: true, index: true, defaultPaginationMethod: "index" },
      ...{ defaultPageSize: page_default, maxPageSize: page_max },
    },
    interopProfileConformant: strict,
    authenticationSchemes: [
      {
        ...{ type: "oauthbearertoken", name: "Bearer token", primary: true },
        description: "The source's own token, in the header Authorization: Bearer",
      },
    ],
    meta: { resourceType: "ServiceProviderConfig", location: `${base}/ServiceProviderConfig` },
  };
}
