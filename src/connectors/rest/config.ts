/**
 * What an administrator enters to read people from a system that answers JSON over HTTP: where the list is, how it is
 * paged, and where in a record each attribute stands. The console builds its form from this schema. What is left out is
 * as the preset has it (presets.ts).
 *
 * Places in a body are JSON pointers (RFC 6901): `/Report_Entry`, `/name/first`; the empty one is the whole body.
 */
import { z } from "zod";
import type { Secret } from "../connector.ts";
import { oauth_form } from "../oauth.ts";
import { enabled_values } from "../rowForm.ts";
import { since_formats } from "./changes.ts";

const pointer = z
  .string()
  .max(500)
  .regex(/^(\/([^~]|~[01])*)?$/, 'a JSON pointer, such as "/worker/id", or empty for the whole');
/** One place, or several of which the first that is there counts: systems of one kind differ in it by their version. */
const places = z.union([pointer, z.array(pointer).min(1).max(5)]);
const below_base = "a path below the base URL, such as /workers, without ? and #; what follows a ? goes into query";
const name = z.string().min(1).max(200);
const attribute = z.string().min(1).max(100);
const size = z.int().min(1).max(10_000).default(100);
const columns = z.record(attribute, pointer.min(1));

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
  z.strictObject({ kind: z.literal("url"), next: places }),
  z.strictObject({ kind: z.literal("link") }),
]);

const slices = z.strictObject({
  at: pointer.min(1),
  kind: z.enum(["rows", "changes"]).default("rows"),
  columns,
  start: attribute,
  end: attribute,
});

const changes = z.strictObject({
  parameter: name,
  format: z.enum(since_formats).default("iso"),
  value: z
    .string()
    .max(1_000)
    .regex(/^[^{}]*\{since\}[^{}]*$/, "must hold {since} once, such as lastModifiedDateTime ge {since}")
    .default("{since}"),
  overlap_seconds: z.int().min(0).max(2_592_000).default(300),
});

const form = z.strictObject({
  preset: z
    .enum(["report", "odata", "webhook"])
    .optional()
    .meta({ title: "Kind of system", description: "Fills in what is usual for it; whatever is given here counts" }),
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
    .optional()
    .meta({ title: "Parameters", description: "Sent with every request for the list, such as format=json" }),
  auth: z
    .enum(["none", "bearer", "basic", "header", "oauth"])
    .optional()
    .meta({ title: "Sign-in", description: "How the token is sent; usually bearer" }),
  username: z.string().min(1).max(500).optional().meta({ title: "User name", description: "For basic sign-in" }),
  header: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9-]{0,100}$/)
    .optional()
    .meta({ title: "Header", description: "For sign-in by a header, such as X-Api-Key" }),
  oauth: oauth_form
    .optional()
    .meta({ title: "OAuth", description: "For sign-in by client credentials; the client secret is the token" }),
  records: places.optional().meta({ title: "Records", description: "Where the list is in the answer" }),
  id: pointer.min(1).meta({ title: "Id", description: "Where a record has what tells it apart and never changes" }),
  columns: columns
    .optional()
    .meta({ title: "Attributes", description: "Attribute → its place. Left out: every plain value of a record" }),
  enabled_at: pointer.min(1).optional().meta({ title: "State", description: "Where a record tells who works here" }),
  enabled_values,
  days: z
    .array(attribute)
    .max(50)
    .optional()
    .meta({ title: "Days", description: "Attributes that are days, such as a first and a last day" }),
  slices: slices
    .optional()
    .meta({ title: "Slices", description: "A list inside a record of what holds from which day on" }),
  paging: paging.optional().meta({ title: "Paging", description: "How the next page is asked for" }),
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
  changes: changes
    .optional()
    .meta({ title: "Changes", description: "How only what changed since a moment is asked for" }),
  concurrency: z.int().min(1).max(16).optional().meta({ title: "Calls at a time" }),
});

/** The form, with what must fit together in it. */
export const rest_config = form.superRefine((given, refuse) => {
  const say = (path: string[], message: string) => refuse.addIssue({ code: "custom", path, message });
  if (given.auth === "oauth" && given.oauth === undefined)
    say(["oauth"], "sign-in by oauth needs token_url and client_id here");
  if (given.auth !== "oauth" && given.auth !== undefined && given.oauth !== undefined)
    say(["oauth"], `is for sign-in by oauth, and auth is ${given.auth}`);
  const { changes: asked, query = {} } = given;
  if (asked === undefined || !Object.hasOwn(query, asked.parameter)) return;
  if (asked.parameter !== "$filter")
    say(["changes", "parameter"], `${asked.parameter} is in query as well; only $filter can be both`);
});

export type RestConfig = z.input<typeof rest_config>;
export type RestForm = z.output<typeof rest_config>;

/** `token`: the bearer token, the basic password, the header's value or the client secret; none without sign-in. */
export type RestCredentials = Readonly<{ token?: Secret }>;
