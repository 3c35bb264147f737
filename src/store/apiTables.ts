/**
 * The rows of the tables that the Management API brought (migrations 0010 and on): roles, types of people, sign-in,
 * keys and clients of apps, hooks, sessions of sources. Part of `Tables` (tables.ts); what each column means is said in
 * `migrations/`.
 */
import type { Generated, GeneratedAlways } from "kysely";
import type { Change } from "../core/diff.ts";
import type { Profile } from "../core/types.ts";
import type { Json, MaybeTime, Object_, Time } from "./columnTypes.ts";
import type { Actor } from "./tables.ts";

/**
 * What a sign-in hands out between two steps. `session`: signed in, worth one session; `change`: the password is right and
 * must be changed; `answer`: the recovery question is to be answered; `reset`: a new password may be set.
 */
export type SignInTokenKind = "session" | "change" | "answer" | "reset";

/** A signing key of an app with its certificate (DER in base64); the private part is in `secrets`. */
export type AppKeyRow = {
  app_id: string;
  kid: string;
  modulus: string;
  exponent: string;
  certificate: string;
  expires_at: Time;
  created_at: Time;
  updated_at: Time;
};

/** A secret of an OAuth client; `hash` is SHA-256 in base64url, the secret itself is in `secrets`. */
export type ClientSecretRow = {
  id: Generated<string>;
  app_id: string;
  status: Generated<"ACTIVE" | "INACTIVE">;
  hash: string;
  created_at: Time;
  updated_at: Time;
};

/** A scope that an OAuth client may be given. */
export type ClientGrantRow = {
  id: Generated<string>;
  app_id: string;
  scope: string;
  issuer: string;
  created_by: string;
  created_by_type: string;
  created_at: Time;
  updated_at: Time;
};

/** One app may ask in another one's name. Kept for its clients; nothing here reads it. */
export type CrossAppRow = {
  id: Generated<string>;
  requesting_app: string;
  resource_app: string;
  status: Generated<"ACTIVE" | "INACTIVE">;
  created_at: Time;
  updated_at: Time;
};

/** Of events of this type, those that fulfil the expression. */
export type EventHookFilter = Readonly<{ type: string; expression: string }>;

/** An address that is told of events. */
export type EventHookRow = {
  id: Generated<string>;
  name: string;
  description: string | null;
  status: Generated<"ACTIVE" | "INACTIVE">;
  event_types: string[];
  filters: Json<readonly EventHookFilter[] | null>;
  url: string;
  headers: Json<readonly Readonly<{ key: string; value: string }>[]>;
  secret_header: string | null;
  channel: Generated<number>;
  verified_at: MaybeTime;
  base_url: string;
  created_by: string;
  created_at: Time;
  updated_at: Time;
};

/** Where an inline hook is and how it is called; its secret is in `secrets`. */
export type HookChannel = Readonly<{
  type: "HTTP" | "OAUTH";
  version: string;
  uri: string;
  method: string;
  headers: readonly Readonly<{ key: string; value: string }>[];
  /** The header that carries the secret (HTTP); null: none does. */
  auth_header: string | null;
  /** Where a token is fetched with the secret first (OAUTH). */
  oauth: Readonly<{ client_id: string; token_url: string; auth_type: string; scope: string | null }> | null;
}>;

/** An outside system that is asked while something is done. */
export type InlineHookRow = {
  id: Generated<string>;
  type: string;
  name: string;
  version: string;
  status: Generated<"ACTIVE" | "INACTIVE">;
  channel: Json<HookChannel>;
  /** When it gives no answer: go on as if it had nothing to say, or refuse what it was asked about. */
  on_failure: Generated<"continue" | "refuse">;
  created_at: Time;
  updated_at: Time;
};

/** An attempt to tell a hook of events. */
export type EventHookDeliveryRow = {
  id: Generated<string>;
  hook_id: string;
  event_id: string;
  seqs: number[];
  attempt: number;
  outcome: "DELIVERED" | "FAILED";
  status: number | null;
  duration_ms: number;
  error: string | null;
  again: Generated<boolean>;
  node: string;
  started_at: Time;
};

export type RoleGrantRow = {
  id: string;
  assignee_user: string | null;
  assignee_group: string | null;
  role: string;
  custom_role_id: string | null;
  resource_set_id: string | null;
  narrowed: Generated<boolean>;
  created_at: Time;
  updated_at: Time;
};

/** How far a session of a source is; Okta's words. */
export type ImportSessionStatus =
  | "CREATED"
  | "IN_PROGRESS"
  | "TRIGGERED"
  | "COMPLETED"
  | "CLOSED"
  | "EXPIRED"
  | "ERROR";

export type ImportSessionRow = {
  id: Generated<string>;
  app_id: string;
  status: Generated<ImportSessionStatus>;
  single: Generated<boolean>;
  calls: Generated<number>;
  created_by: Json<Actor>;
  created_at: Time;
  updated_at: Time;
  started_by: Json<Actor | null>;
  triggered_at: MaybeTime;
  cause: number | null;
  claimed_by: string | null;
  claimed_until: MaybeTime;
  attempts: Generated<number>;
  held: Generated<boolean>;
  import_id: string | null;
  reason: string | null;
};

/** Part of `Tables`. */
export type ApiTables = {
  import_sessions: ImportSessionRow;
  import_session_rows: {
    session_id: string;
    kind: "user" | "group" | "member";
    external_id: string;
    member_id: Generated<string>;
    n: GeneratedAlways<number>;
    profile: Json<Profile>;
    gone: Generated<boolean>;
    partial: Generated<boolean>;
  };
  custom_roles: {
    id: Generated<string>;
    label: string;
    description: string;
    created_at: Time;
    updated_at: Time;
  };
  custom_role_permissions: {
    role_id: string;
    permission: string;
    conditions: Json<Object_ | null>;
    created_at: Time;
    updated_at: Time;
  };
  resource_sets: {
    id: Generated<string>;
    label: string;
    description: string;
    created_at: Time;
    updated_at: Time;
  };
  resource_set_members: {
    id: Generated<string>;
    set_id: string;
    kind: string;
    ref: string | null;
    created_at: Time;
  };
  role_grants: RoleGrantRow;
  /** `role_grants`, and the super administrators that `users` knows. */
  admin_grants: RoleGrantRow;
  admin_groups: { group_id: string };
  role_targets: {
    grant_id: string;
    group_id: string | null;
    app_id: string | null;
    app_name: string | null;
    created_at: Time;
  };
  subscriptions: { subscriber: string; type: string; subscribed: boolean };
  seen_assertions: { id: string; expires_at: Time };
  api_calls: { day: string; method: string; pattern: string; status: number; served: boolean; calls: number };
  user_types: {
    id: Generated<string>;
    name: string;
    display_name: string;
    description: string | null;
    created_by: string;
    updated_by: string;
    created_at: Time;
    updated_at: Time;
  };
  sessions: {
    /** SHA-256 of the session's id, which only its holder knows. */
    hash: string;
    user_id: string;
    created_at: Time;
    expires_at: Time;
    /** When the password was last given. */
    password_at: Time;
  };
  sign_in_tokens: {
    hash: string;
    kind: SignInTokenKind;
    user_id: string;
    created_at: Time;
    expires_at: Time;
  };
  sign_in_failures: { user_id: string; failures: number; failed_at: Time };
  password_history: { user_id: string; hash: string; replaced_at: Time };
  linked_objects: {
    primary_name: string;
    primary_title: string;
    primary_description: string | null;
    associated_name: string;
    associated_title: string;
    associated_description: string | null;
    created_at: Time;
  };
  linked_values: { link: string; associated_id: string; primary_id: string; created_at: Time };
  factors: {
    id: string;
    user_id: string;
    type: string;
    provider: string;
    status: "PENDING_ACTIVATION" | "ACTIVE";
    profile: Json<Object_>;
    answer_hash: string | null;
    created_at: Time;
    updated_at: Time;
  };
  user_risks: { user_id: string; level: "LOW" | "MEDIUM" | "HIGH"; updated_at: Time };
  ui_schemas: { id: Generated<string>; body: Json<Object_>; created_at: Time; updated_at: Time };
  app_keys: AppKeyRow;
  app_csrs: {
    app_id: string;
    id: Generated<string>;
    request: string;
    modulus: string;
    exponent: string;
    created_at: Time;
  };
  client_secrets: ClientSecretRow;
  client_grants: ClientGrantRow;
  logos: { app_id: string; type: string; bytes: Uint8Array; updated_at: Time };
  cross_app_connections: CrossAppRow;
  event_hooks: EventHookRow;
  event_hook_places: {
    hook_id: string;
    /** pg_snapshot, as text. */
    seen: string;
    reading: string | null;
    seq: Generated<number>;
    last_seq: Generated<number>;
    due_at: Time;
    attempts: Generated<number>;
    failing_since: MaybeTime;
    told_at: MaybeTime;
    error: string | null;
    delivered_at: MaybeTime;
    pruned_at: Time;
    claimed_by: string | null;
    claimed_until: MaybeTime;
  };
  event_hook_deliveries: EventHookDeliveryRow;
  inline_hooks: InlineHookRow;
  people_imports: {
    id: Generated<string>;
    status: "RUNNING" | "DONE" | "STOPPED" | "UNDOING" | "UNDONE";
    kind: Generated<"people" | "members">;
    activate: boolean;
    exact: Generated<boolean>;
    columns: Json<readonly string[]>;
    counts: Json<Record<string, number>>;
    reason: string | null;
    started_by: Json<Actor>;
    started_at: Time;
    finished_at: MaybeTime;
    undone_by: Json<Actor | null>;
    undone_at: MaybeTime;
    node: string | null;
  };
  people_import_rows: {
    import_id: string;
    line: number;
    user_id: string;
    login: string;
    outcome: "create" | "update" | "join" | "leave";
    group_id: string | null;
    group_name: string | null;
    changes: Json<readonly Change[]>;
    undone: "undone" | "partly" | "left" | null;
    undone_reason: string | null;
  };
  source_notice_turns: {
    app_id: string;
    due_at: MaybeTime;
    attempts: Generated<number>;
    problem: string | null;
    node: string | null;
  };
  source_notices: {
    app_id: string;
    external_id: string;
    told: Generated<number>;
    attempts: Generated<number>;
    problem: string | null;
    noted_at: Time;
    due_at: Time;
  };
  group_owners: { group_id: string; owner_user: string | null; owner_group: string | null; created_at: Time };
};
