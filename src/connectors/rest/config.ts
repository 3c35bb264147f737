/**
 * What an administrator enters to read people from a system that answers JSON over HTTP: where the list is, how it is
 * paged, and where in a record each attribute stands. The console builds its form from this schema.
 *
 * Places in a body are JSON pointers (RFC 6901): `/Report_Entry`, `/name/first`; the empty one is the whole body.
 */
import { z } from "zod";
import type { Secret } from "../connector.ts";
import { enabled_values } from "../rowForm.ts";

const pointer = z
  .string()
  .max(500)
  .regex(/^(\/([^~]|~[01])*)?$/, 'a JSON pointer, such as "/worker/id", or empty for the whole');
const below_base = "a path below the base URL, such as /workers, without ? and #; what follows a ? goes into query";
const name = z.string().min(1).max(200);
const size = z.int().min(1).max(10_000).default(100);

const paging = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("none") }),
  z.strictObject({
    kind: z.literal("page"),
    parameter: name,
    size_parameter: name.optional(),
    size,
    first: z.int().default(1),
  }),
  z.strictObject({ kind: z.literal("offset"), parameter: name, size_parameter: name.optional(), size }),
  z.strictObject({ kind: z.literal("cursor"), parameter: name, next: pointer }),
  z.strictObject({ kind: z.literal("url"), next: pointer }),
  z.strictObject({ kind: z.literal("link") }),
]);

export const rest_config = z.strictObject({
  base_url: z
    .url({ protocol: /^https?$/ })
    .max(2_000)
    .meta({ title: "Base URL", description: "Such as https://hr.example.com/api/v1; no request leaves it" }),
  path: z
    .string()
    .max(1_000)
    .regex(/^\/[^?#\s]*$/, below_base)
    .meta({ title: "List", description: "Where the people are, below the base URL, such as /workers" }),
  query: z
    .record(name, z.string().max(2_000))
    .default({})
    .meta({ title: "Parameters", description: "Sent with every request for the list, such as format=json" }),
  auth: z
    .enum(["none", "bearer", "basic", "header"])
    .default("bearer")
    .meta({ title: "Sign-in", description: "How the token is sent" }),
  username: z.string().min(1).max(500).optional().meta({ title: "User name", description: "For basic sign-in" }),
  header: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]{0,100}$/)
    .optional()
    .meta({ title: "Header", description: "For sign-in by a header, such as X-Api-Key" }),
  records: pointer.default("").meta({ title: "Records", description: "Where the list is in the answer" }),
  id: pointer.min(1).meta({ title: "Id", description: "Where a record has what tells it apart and never changes" }),
  columns: z
    .record(z.string().min(1).max(100), pointer.min(1))
    .optional()
    .meta({ title: "Attributes", description: "Attribute → its place. Left out: every plain value of a record" }),
  enabled_at: pointer.min(1).optional().meta({ title: "State", description: "Where a record tells who works here" }),
  enabled_values,
  paging: paging.default({ kind: "none" }).meta({ title: "Paging", description: "How the next page is asked for" }),
  total: pointer
    .optional()
    .meta({ title: "Total", description: "Where the answer says how many records there are in all" }),
  one: z
    .strictObject({
      path: z
        .string()
        .max(1_000)
        .regex(/^\/[^?#\s]*\{id\}[^?#\s]*$/, "a path with {id} in it, such as /workers/{id}"),
      record: pointer.default(""),
    })
    .optional()
    .meta({
      title: "One person",
      description: "Where one record is, such as /workers/{id}. Left out: the list is read",
    }),
  concurrency: z.int().min(1).max(16).optional().meta({ title: "Calls at a time" }),
});

export type RestConfig = z.input<typeof rest_config>;
export type RestSettings = z.output<typeof rest_config>;

/** `token`: the bearer token, the basic password, or the header's value; none without sign-in. */
export type RestCredentials = Readonly<{ token?: Secret }>;
