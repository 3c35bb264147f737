/**
 * The rows of every table as TypeScript sees them, for Kysely. The shape's authority is `migrations/`; what each column
 * means is said there. jsonb columns hold plain JSON and are written as `json(value)` (database.ts). What only the
 * Management API needs is apiTables.ts.
 */
import type { Generated, GeneratedAlways } from "kysely";
import type {
  Attribute,
  FaultKind,
  GrantKind,
  GroupType,
  Have,
  Hold,
  MappingLines,
  Profile,
  UserStatus,
  Value,
  Want,
} from "../core/types.ts";
import type { ApiTables } from "./apiTables.ts";
import type { Provisioning, Sourcing } from "./appSwitches.ts";
import type { Json, MaybeTime, Object_, Time } from "./columnTypes.ts";

export type { Provisioning, Sourcing };

export type UserRow = {
  id: Generated<string>;
  status: UserStatus;
  prior_status: UserStatus | null;
  profile: Json<Profile>;
  login: GeneratedAlways<string>;
  credentials: Json<Credentials>;
  provenance: Json<Provenance>;
  hold: Json<(Omit<Hold, "until"> & { until: string | null }) | null>;
  super_admin: Generated<boolean>;
  time_zone: string | null;
  starts_at: MaybeTime;
  ends_at: MaybeTime;
  created_at: Time;
  updated_at: Time;
  activated_at: MaybeTime;
  status_changed_at: MaybeTime;
  last_login_at: MaybeTime;
  password_changed_at: MaybeTime;
  /** null: the default type. */
  type_id: Generated<string | null>;
};

/** Only hashes; a clear password never reaches a table. */
export type Credentials = {
  password_hash?: string;
  recovery_question?: string;
  recovery_answer_hash?: string;
  provider?: { type: string; name: string };
  one_time_hash?: string;
  /** ISO 8601; without it (made before it was kept) the token serves until it is used. */
  one_time_expires_at?: string;
  /** The password is asked of an outside system at the first sign-in, and kept then. */
  password_hook?: true;
};

/** Attribute → who gave the value and who would have. `*` stands for every attribute not named. */
export type Provenance = Record<string, { source: string; losers?: { source: string; value: Value }[] }>;

export type GroupRow = {
  id: Generated<string>;
  type: GroupType;
  profile: Json<Profile>;
  source_app_id: string | null;
  external_id: string | null;
  created_at: Time;
  updated_at: Time;
  members_changed_at: Time;
};

export type MembershipGrantRow = {
  id: GeneratedAlways<number>;
  user_id: string;
  group_id: string;
  kind: GrantKind;
  source_id: string;
  reason: string | null;
  expires_at: MaybeTime;
  cause: number | null;
  created_at: Time;
};

export type RuleRow = {
  id: Generated<string>;
  name: string;
  status: Generated<"ACTIVE" | "INACTIVE" | "INVALID">;
  invalid_reason: string | null;
  expression: string;
  group_ids: string[];
  /** The rule must be asked again over everyone; null: it is settled. */
  due_at: MaybeTime;
  due_cause: number | null;
  /** Counts what makes the rule due or stops it. */
  revision: Generated<number>;
  evaluated_at: MaybeTime;
  /** Every group in which the rule may have grants. */
  groups_held: Generated<string[]>;
  claimed_by: string | null;
  claimed_until: MaybeTime;
  created_at: Time;
  updated_at: Time;
};

export type CompanyGateRow = { one: Generated<boolean>; revision: number };

export type RuleExceptionRow = {
  id: GeneratedAlways<number>;
  rule_id: string;
  user_id: string;
  reason: string | null;
  created_by: string;
  created_at: Time;
  expires_at: MaybeTime;
};

export type AppRow = {
  id: Generated<string>;
  name: string;
  label: string;
  kind: string;
  status: Generated<"ACTIVE" | "INACTIVE">;
  config: Json<Object_>;
  settings: Json<Object_>;
  provisioning: Json<Provisioning>;
  sourcing: Json<Sourcing | null>;
  source_priority: number | null;
  seats: number | null;
  licence_expires_at: MaybeTime;
  /** The key that sign-on uses; it is made when somebody asks for it (directory/appKeys.ts). */
  signing_kid: Generated<string>;
  /** Of apps that are OAuth clients: by default the app's id. */
  client_id: GeneratedAlways<string | null>;
  created_at: Time;
  updated_at: Time;
};

export type AppHealthRow = {
  app_id: string;
  paused_until: MaybeTime;
  pause_reason: string | null;
  pause_fault: FaultKind | null;
  faults_in_row: Generated<number>;
  probing: Generated<boolean>;
  tokens: number | null;
  refilled_at: MaybeTime;
  reconciled_at: MaybeTime;
  reconcile_due_at: MaybeTime;
  /** Of a source with a schedule: when it is read next, and what that was worked out from. */
  import_due_at: MaybeTime;
  import_schedule: Generated<string | null>;
  /** The same of its schedule of incremental imports; and what it gave to be asked only for changes (engine/importSince.ts). */
  changes_due_at: MaybeTime;
  import_since_at: MaybeTime;
} & Record<"changes_schedule" | "import_since" | "import_since_of", Generated<string | null>>;

export type MappingRow = {
  id: Generated<string>;
  app_id: string;
  direction: "to_app" | "to_user";
  lines: Json<MappingLines>;
  created_at: Time;
  updated_at: Time;
};

export type AssignmentGrantRow = {
  id: GeneratedAlways<number>;
  user_id: string;
  app_id: string;
  kind: GrantKind;
  source_id: string;
  reason: string | null;
  profile: Json<Profile>;
  expires_at: MaybeTime;
  cause: number | null;
  created_at: Time;
};

export type GroupAssignmentRow = {
  id: GeneratedAlways<number>;
  app_id: string;
  group_id: string;
  priority: number;
  profile: Json<Profile>;
  expires_at: MaybeTime;
  created_at: Time;
  updated_at: Time;
};

/** Why an account is wanted, as it was when want was computed: the chain that `explain` prints. */
export type AccountGrant = Readonly<{
  scope: "USER" | "GROUP";
  /** The granting group (scope GROUP) or the giver (scope USER). */
  source_id: string;
  kind: GrantKind;
  /** For a group: why the user is in it. */
  membership?: readonly Readonly<{ kind: GrantKind; source_id: string }>[];
  priority?: number;
}>;

export type AccountRow = {
  id: Generated<string>;
  app_id: string;
  user_id: string;
  external_id: string | null;
  assigned: Generated<boolean>;
  want: Json<Want | null>;
  want_revision: Generated<number>;
  have: Json<Have | null>;
  have_revision: Generated<number>;
  grants: Json<readonly AccountGrant[]>;
  snapshot: Json<Object_ | null>;
  match_key: string | null;
  pending: "create" | "update" | "remove" | null;
  error: string | null;
  created_at: Time;
  updated_at: Time;
  assigned_at: MaybeTime;
  released_at: MaybeTime;
  synced_at: MaybeTime;
};

export type WorkRow = {
  account_id: string;
  app_id: string;
  user_id: string;
  revision: number;
  due_at: MaybeTime;
  priority: number;
  unsure: Generated<boolean>;
  tried_keys: Generated<string[]>;
  attempts: Generated<number>;
  fault: FaultKind | null;
  fault_detail: string | null;
  fault_attribute: string | null;
  first_fault_at: MaybeTime;
  claimed_by: string | null;
  claimed_until: MaybeTime;
  cause: number | null;
  marked_at: Time;
};

export type EventRow = {
  seq: GeneratedAlways<number>;
  transaction_id: GeneratedAlways<string>;
  uuid: Generated<string | null>;
  published_at: Time;
  type: string;
  severity: Generated<"DEBUG" | "INFO" | "WARN" | "ERROR">;
  outcome: Generated<string>;
  reason: string | null;
  actor: Json<Actor>;
  targets: Json<readonly Target[]>;
  user_id: string | null;
  app_id: string | null;
  group_id: string | null;
  cause: number | null;
  detail: Json<Object_>;
};

/** Who did it: a person with a token, the system, or a source app. `from`: of what somebody asked for over HTTP. */
export type Actor = Readonly<{ id: string; type: "User" | "SystemPrincipal" | "App"; name: string; from?: Origin }>;
/** Where a request came from: the client's address, what the client calls itself, and the id that the answer carries. */
export type Origin = Readonly<{ ip: string; agent: string | null; request: string }>;
export type Target = Readonly<{
  id: string;
  type:
    | "User"
    | "UserGroup"
    | "AppInstance"
    | "AppUser"
    | "GroupRule"
    | "EventHook"
    | "Task"
    | "Import"
    | "ImportSession"
    | "Mapping"
    | "Schema"
    | "Token"
    | "GroupPush"
    | "AppKey"
    | "ClientSecret"
    | "ClientGrant"
    | "Connection"
    | "UserType"
    | "LinkedObject"
    | "Factor"
    | "Session"
    | "UISchema"
    | "RoleGrant"
    | "CustomRole"
    | "ResourceSet"
    | "Feature"
    | "InlineHook";
  name: string;
}>;

export type TaskRow = {
  id: Generated<string>;
  kind: string;
  status: Generated<"OPEN" | "DONE" | "DISMISSED">;
  title: string;
  detail: Json<Object_>;
  app_id: string | null;
  user_id: string | null;
  account_id: string | null;
  dedupe: string;
  cause: number | null;
  assignee: string | null;
  due_at: MaybeTime;
  notes: Json<readonly { at: string; by: string; text: string }[]>;
  created_at: Time;
  closed_at: MaybeTime;
  closed_by: string | null;
};

export type PushedGroupRow = {
  id: Generated<string>;
  app_id: string;
  group_id: string;
  push_rule_id: string | null;
  status: Generated<"ACTIVE" | "INACTIVE">;
  mode: "create" | "link";
  target_id: string | null;
  target_name: string | null;
  pushed_name: string | null;
  unlinking: "leave" | "delete" | null;
  error: string | null;
  fault: FaultKind | null;
  attempts: Generated<number>;
  generation: Generated<number>;
  due_at: MaybeTime;
  full_check: Generated<boolean>;
  unsure: Generated<boolean>;
  claimed_by: string | null;
  claimed_until: MaybeTime;
  cause: number | null;
  pushed_at: MaybeTime;
  reconciled_at: MaybeTime;
  created_at: Time;
  updated_at: Time;
};

type Plain<Row> = Row;

/** A time of employment that begins with a scheduled change, as JSON has it (core/jobs.ts). */
export type ScheduledDates = Readonly<{
  starts_at: string | null;
  ends_at: string | null;
  prepares_at: string | null;
  /** Absent in what was written before it was there. */
  renewable?: boolean;
}>;

export type Tables = ApiTables & {
  users: UserRow;
  users_history: Plain<Omit<UserRow, "id">> & { id: string; valid_from: Date; valid_to: Date };
  scheduled_changes: {
    id: GeneratedAlways<number>;
    user_id: string;
    profile: Json<Profile>;
    effective_at: Time;
    dates: Json<ScheduledDates | null>;
    source_id: string;
    created_at: Time;
  };
  person_dates: {
    user_id: string;
    prepares_at: MaybeTime;
    prepared: Generated<boolean>;
    absent_from: MaybeTime;
    absent_until: MaybeTime;
    away: Generated<boolean>;
    warn_days: number | null;
    warns_at: MaybeTime;
    warned_end: MaybeTime;
  };
  schemas: {
    id: Generated<string>;
    kind: "user" | "group" | "app";
    app_id: string | null;
    attributes: Json<readonly Attribute[]>;
    created_at: Time;
    updated_at: Time;
  };
  groups: GroupRow;
  membership_grants: MembershipGrantRow;
  company_gate: CompanyGateRow;
  memberships: { user_id: string; group_id: string; created_at: Date };
  rules: RuleRow;
  rule_exceptions: RuleExceptionRow;
  apps: AppRow;
  app_health: AppHealthRow;
  mappings: MappingRow;
  assignment_grants: AssignmentGrantRow;
  group_assignments: GroupAssignmentRow;
  accounts: AccountRow;
  work: WorkRow;
  orphans: {
    app_id: string;
    external_id: string;
    profile: Json<Profile>;
    enabled: boolean;
    decision: "ignore" | null;
    seen_at: Time;
  };
  dirty: { user_id: string; priority: number; marked_at: Time; cause: number | null };
  operations: {
    id: GeneratedAlways<number>;
    app_id: string;
    account_id: string | null;
    user_id: string | null;
    push_id: string | null;
    revision: number | null;
    step: string;
    outcome: string;
    fault: FaultKind | null;
    detail: Json<Object_>;
    cause: number | null;
    node: string;
    started_at: Time;
    finished_at: Time;
  };
  events: EventRow;
  push_rules: {
    id: Generated<string>;
    app_id: string;
    name: string;
    expression: string;
    status: Generated<"ACTIVE" | "INACTIVE">;
    created_at: Time;
    updated_at: Time;
  };
  pushed_groups: PushedGroupRow;
  pushed_members: {
    push_id: string;
    user_id: string;
    external_id: string;
    fault: FaultKind | null;
    detail: string | null;
    pushed_at: Time;
  };
  tasks: TaskRow;
  imports: {
    id: Generated<string>;
    app_id: string;
    status: "RUNNING" | "HELD" | "DONE" | "FAILED" | "CANCELLED";
    mode: "full" | "incremental";
    dry_run: Generated<boolean>;
    counts: Json<Record<string, number>>;
    detail: Json<Object_>;
    cause: number | null;
    started_by: Json<Actor>;
    started_at: Time;
    finished_at: MaybeTime;
  };
  import_rows: {
    import_id: string;
    line: number;
    external_id: string | null;
    profile: Json<Profile | null>;
    enabled: Generated<boolean>;
    outcome: string | null;
    user_id: string | null;
    detail: Json<Object_ | null>;
  };
  tokens: {
    id: Generated<string>;
    name: string;
    hash: string;
    user_id: string | null;
    role: Generated<string>;
    created_at: Time;
    expires_at: MaybeTime;
    last_used_at: MaybeTime;
    revoked_at: MaybeTime;
    /** null: the token's role is all that bounds it. */
    scopes: Generated<string[] | null>;
    client_id: Generated<string | null>;
    /** The key whose holder alone may use it. */
    jkt: Generated<string | null>;
    network: Json<Object_ | null>;
  };
  secrets: {
    table_name: string;
    row_id: string;
    column_name: string;
    key_id: string;
    sealed: Uint8Array;
    expires_at: MaybeTime;
    created_at: Time;
  };
  nodes: { id: string; started_at: Time; seen_at: Time; detail: Json<Object_> };
  settings: { name: string; value: Json<Value> };
  clock: { one: Generated<boolean>; fixed_at: MaybeTime; shift: string };
};
