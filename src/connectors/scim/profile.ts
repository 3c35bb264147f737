/**
 * What is particular about one vendor's SCIM, as data. The defaults are the behaviour of the SCIM interoperability
 * profile draft: pathed lower-case operations on sub-attributes, `eq` filters, booleans as booleans, PATCH only. A file in
 * profiles/ states only how a vendor differs; `overrides` in an app's configuration can do the same for one app.
 *
 * Pure data and its form: nothing here sends anything. Read by every other file in this folder.
 */
import { z } from "zod";
import { ConnectorFault } from "../connector.ts";

const names = z.array(z.string()).default([]);

const auth = z.strictObject({
  kind: z.enum(["bearer", "basic", "header"]).default("bearer"),
  /** For `header`: where the token goes and what stands before it. */
  header: z.string().default("Authorization"),
  prefix: z.string().default(""),
  /** Vendors whose tokens die by themselves: warn before this many days after they were entered. */
  expires_after_days: z.int().positive().nullable().default(null),
});

const http = z.strictObject({
  user_agent: z.string().nullable().default(null),
  content_type: z.enum(["application/scim+json", "application/json"]).default("application/scim+json"),
  accept: z.string().default("application/scim+json, application/json"),
  headers: z.record(z.string(), z.string()).default({}),
  timeout_ms: z.int().min(1_000).max(600_000).default(60_000),
  concurrency: z.int().min(1).max(128).default(16),
});

const discovery = z.strictObject({
  /** optional: used where it is there; required: a server without it is refused by `test`. */
  use: z.enum(["never", "optional", "required"]).default("optional"),
  service_provider_config: z.string().default("/ServiceProviderConfig"),
});

/** Many accounts in one request, where the server says it can: off where nobody has tried it with that vendor. */
const batch = z.strictObject({
  /** A filter that joins values by `or`. */
  search: z.boolean().default(false),
  /** Creations by POST /Bulk. */
  bulk: z.boolean().default(false),
});

const bucket = z.strictObject({
  methods: names,
  resources: names,
  count: z.number().positive(),
  per_ms: z.number().positive(),
  burst: z.number().positive(),
});

const create = z.strictObject({
  /** random: a password no one knows, for apps that insist on one; synced: only if one is given. */
  password: z.enum(["none", "random", "synced"]).default("synced"),
  /** Sent with every new account beside its own attributes. */
  constants: z.record(z.string(), z.json()).default({}),
  groups_empty: z.boolean().default(false),
});

const update = z.strictObject({
  /** put: the whole resource from what we know; put_merge: read it first and keep what we do not know. */
  method: z.enum(["patch", "put", "put_merge"]).default("patch"),
  form: z.enum(["pathed", "pathless", "dotted"]).default("pathed"),
  op_case: z.enum(["lower", "capital"]).default("lower"),
  /** false: no `emails[type eq "work"].value`; the whole multi-valued attribute is written instead. */
  filter_paths: z.boolean().default(true),
  boolean_as_string: z.boolean().default(false),
  /** How a single complex reference is written: `…:manager.value`, `…:manager` = {value}, or `…:manager` = "id". */
  manager: z.enum(["sub", "object", "string"]).default("object"),
  clear: z.enum(["remove", "null", "empty"]).default("remove"),
});

const user = z.strictObject({
  /** Filter by attribute, where it is not the attribute's own path; `*` in the list below: any may be tried. */
  filters: z.record(z.string(), z.string()).default({}),
  filterable: z.array(z.string()).default(["*"]),
  /** Attributes, in our names, that the app needs, and those that it has not got. */
  required: z.array(z.string()).default(["userName"]),
  forbidden: names,
  /** SCIM multi-valued attributes of which the app keeps one value only. */
  single_value: names,
  max_length: z.record(z.string(), z.int().positive()).default({}),
  enterprise: z.boolean().default(true),
  external_id: z.enum(["writable", "ignored"]).default("writable"),
  create: create.prefault({}),
  update: update.prefault({}),
  deactivate: z
    .strictObject({
      /** none: `active` cannot be written; an account is deleted instead. */
      method: z.enum(["patch", "put", "none"]).default("patch"),
      /** no: the account or its id does not come back, so it is treated as a deletion and never done as a disable. */
      reversible: z.boolean().default(true),
      /** gone: a deactivated account answers 404 until it is activated again. */
      afterwards: z.enum(["visible", "gone"]).default("visible"),
    })
    .prefault({}),
  /** deactivates: the app has DELETE, but it only disables. */
  delete: z.enum(["hard", "deactivates", "forbidden"]).default("hard"),
});

const group = z.strictObject({
  enabled: z.boolean().default(true),
  create: z.boolean().default(true),
  delete: z.boolean().default(true),
  rename: z.enum(["pathed", "pathless_with_id", "put", "no"]).default("pathed"),
  external_id: z.boolean().default(true),
  /** Ask for groups without their members, which the app then need not load. */
  exclude_members: z.boolean().default(true),
  members: z
    .strictObject({
      method: z.enum(["patch", "put"]).default("patch"),
      remove: z.enum(["filter", "value_array"]).default("filter"),
      max: z.int().min(1).default(100),
      max_bytes: z.int().min(1_000).default(500_000),
      readable: z.boolean().default(true),
      /** first: the first addition and the first removal are read back, and later ones believed. */
      readback: z.enum(["never", "first", "always"]).default("first"),
    })
    .prefault({}),
});

const paging = z.strictObject({
  kind: z.enum(["index", "cursor", "none"]).default("index"),
  size: z.int().min(1).default(100),
  /** Is totalResults the number of accounts? Unless it is known to be, paging goes on to an empty or repeated page. */
  trust_total: z.boolean().default(false),
  pages_max: z.int().min(1).default(20_000),
});

/** First entry that fits an answer decides its fault. `detail`: words that the app's message holds, in any case. */
const mapped_error = z.strictObject({
  status: z.int(),
  scim_type: z.string().optional(),
  detail: z.string().optional(),
  kind: z.enum(["retry", "rate_limited", "conflict", "not_found", "invalid", "denied", "unsupported"]),
  attribute: z.string().optional(),
});

export const scim_profile = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9_]*$/),
  name: z.string(),
  docs: z.array(z.url()).default([]),
  /** Day on which this file was checked against a live tenant; null: from documentation only. */
  verified_on: z.iso.date().nullable().default(null),
  /** What an administrator must know, shown beside the form. */
  notes: names,
  base_url_example: z.string().default("https://app.example.com/scim/v2"),
  auth: auth.prefault({}),
  http: http.prefault({}),
  discovery: discovery.prefault({}),
  rate: z.array(bucket).default([]),
  batch: batch.prefault({}),
  user: user.prefault({}),
  group: group.prefault({}),
  paging: paging.prefault({}),
  errors: z.array(mapped_error).default([]),
  /** onChange: updates are read back, and creations where the answer does not show what was sent. */
  readback: z.enum(["never", "onChange", "always"]).default("onChange"),
});

export type ScimProfile = Readonly<z.output<typeof scim_profile>>;
export type ScimProfileInput = z.input<typeof scim_profile>;
/** Differences for one app, of the profile's own shape. */
export type ProfileOverrides = Readonly<Record<string, unknown>>;

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `over` laid upon `base`: objects merge, everything else replaces. */
function laidOver(base: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(over)) {
    const below = merged.get(key);
    merged.set(key, isPlain(below) && isPlain(value) ? laidOver(below, value) : value);
  }
  return Object.fromEntries(merged);
}

/** A vendor's profile from its differences, with the strict defaults for the rest. */
export function defineProfile(input: ScimProfileInput): ScimProfile {
  return scim_profile.parse(input);
}

/** A profile with one app's differences. Throws `invalid` naming the entry that does not fit. */
export function overridden(profile: ScimProfile, overrides: ProfileOverrides | undefined): ScimProfile {
  if (overrides === undefined || Object.keys(overrides).length === 0) return profile;
  const parsed = scim_profile.safeParse(laidOver(profile as Record<string, unknown>, { ...overrides }));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const place = ["overrides", ...(issue?.path ?? [])].join(".");
  throw new ConnectorFault("invalid", `The SCIM profile setting ${place} is wrong: ${issue?.message ?? "unknown"}`, {
    attribute: place,
  });
}
