/**
 * The ground: ids, the clock, and every noun's table. What must be right from the first migration is listed in
 * docs/architecture.md, "State".
 *
 * - Ids are 20 characters with Okta's type prefix; a sequence gives them, so they sort by age and bulk statements can
 *   make a million in one go.
 * - A membership and an assignment are sets of grants.
 * - `accounts` holds want and have; `work` holds the hot claim columns and has a row only while an account is due, so
 *   claims never rewrite profiles and a clean account costs nothing.
 * - `dirty` has a row for each user whose accounts must be computed again.
 * - SQL never asks the operating system for the time where the engine depends on it: see `tenure_now()`.
 */
export const ground = `
create sequence ids;

create function new_id(prefix text) returns text language sql volatile as
$$ select prefix || lpad(to_hex(nextval('ids')), 20 - length(prefix), '0') $$;

-- One row. A simulation fixes the time, the demo shifts it; a normal installation leaves both alone.
create table clock (
  one boolean primary key default true check (one),
  fixed_at timestamptz,
  shift interval not null default '0'
);
insert into clock default values;

create function tenure_now() returns timestamptz language sql stable as
$$ select coalesce(fixed_at, clock_timestamp() + shift) from clock $$;

create table settings (name text primary key, value jsonb not null);

create table users (
  id text primary key default new_id('00u'),
  status text not null,
  prior_status text,
  profile jsonb not null,
  login text not null generated always as (lower(profile->>'login')) stored,
  credentials jsonb not null default '{}',
  provenance jsonb not null default '{}',
  hold jsonb,
  super_admin boolean not null default false,
  time_zone text,
  starts_at timestamptz,
  ends_at timestamptz,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now(),
  activated_at timestamptz,
  status_changed_at timestamptz,
  last_login_at timestamptz,
  password_changed_at timestamptz,
  constraint users_login_unique unique (login)
);
create index users_email on users (lower(profile->>'email'));
create index users_manager on users ((profile->>'managerId')) where profile ? 'managerId';
create index users_employee on users ((profile->>'employeeNumber')) where profile ? 'employeeNumber';
create index users_status on users (status, id);
create index users_starts on users (starts_at) where starts_at is not null and status = 'STAGED';
create index users_ends on users (ends_at) where ends_at is not null and status <> 'DEPROVISIONED';

create table scheduled_changes (
  id bigint generated always as identity primary key,
  user_id text not null references users on delete cascade,
  profile jsonb not null,
  effective_at timestamptz not null,
  source_id text not null,
  created_at timestamptz not null default tenure_now(),
  unique (user_id, source_id, effective_at)
);
create index scheduled_changes_due on scheduled_changes (effective_at);

create table schemas (
  id text primary key default new_id('osc'),
  kind text not null check (kind in ('user', 'group', 'app')),
  app_id text,
  attributes jsonb not null,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now(),
  unique nulls not distinct (kind, app_id)
);

create table groups (
  id text primary key default new_id('00g'),
  type text not null,
  profile jsonb not null,
  source_app_id text,
  external_id text,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now(),
  members_changed_at timestamptz not null default tenure_now(),
  unique (source_app_id, external_id)
);
create unique index groups_name on groups ((profile->>'name')) where type <> 'APP_GROUP';
create index groups_name_any on groups (lower(profile->>'name'));

create table membership_grants (
  id bigint generated always as identity primary key,
  user_id text not null references users on delete cascade,
  group_id text not null references groups on delete cascade,
  kind text not null,
  source_id text not null,
  reason text,
  expires_at timestamptz,
  cause bigint,
  created_at timestamptz not null default tenure_now(),
  unique (user_id, group_id, kind, source_id)
);
create index membership_grants_group on membership_grants (group_id, user_id);
create index membership_grants_source on membership_grants (kind, source_id);
create index membership_grants_expiry on membership_grants (expires_at) where expires_at is not null;

create view memberships as
  select user_id, group_id, min(created_at) as created_at from membership_grants group by user_id, group_id;

create table rules (
  id text primary key default new_id('0pr'),
  name text not null unique,
  status text not null default 'INACTIVE' check (status in ('ACTIVE', 'INACTIVE', 'INVALID')),
  invalid_reason text,
  expression text not null,
  group_ids text[] not null,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now()
);
create table rule_exceptions (
  id bigint generated always as identity primary key,
  rule_id text not null references rules on delete cascade,
  user_id text not null references users on delete cascade,
  reason text,
  created_by text not null,
  created_at timestamptz not null default tenure_now(),
  expires_at timestamptz,
  unique (rule_id, user_id)
);
create index rule_exceptions_user on rule_exceptions (user_id);
create index rule_exceptions_expiry on rule_exceptions (expires_at) where expires_at is not null;

-- kind: the connector's; 'none' is an app for sign-on only. provisioning: see directory/apps.ts.
create table apps (
  id text primary key default new_id('0oa'),
  name text not null,
  label text not null,
  kind text not null,
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'INACTIVE')),
  config jsonb not null default '{}',
  settings jsonb not null default '{}',
  provisioning jsonb not null default '{}',
  sourcing jsonb,
  source_priority int,
  seats int,
  licence_expires_at timestamptz,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now()
);
create unique index apps_label on apps (lower(label));
create index apps_licence on apps (licence_expires_at) where licence_expires_at is not null;

-- What the engine learns of an app's health; kept apart from apps, whose history matters.
create table app_health (
  app_id text primary key references apps on delete cascade,
  paused_until timestamptz,
  pause_reason text,
  pause_fault text,
  faults_in_row int not null default 0,
  probing boolean not null default false,
  tokens double precision,
  refilled_at timestamptz,
  reconciled_at timestamptz,
  reconcile_due_at timestamptz
);

create table mappings (
  id text primary key default new_id('prm'),
  app_id text not null references apps on delete cascade,
  direction text not null check (direction in ('to_app', 'to_user')),
  lines jsonb not null default '{}',
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now(),
  unique (app_id, direction)
);

create table assignment_grants (
  id bigint generated always as identity primary key,
  user_id text not null references users on delete cascade,
  app_id text not null references apps on delete cascade,
  kind text not null,
  source_id text not null,
  reason text,
  profile jsonb not null default '{}',
  expires_at timestamptz,
  cause bigint,
  created_at timestamptz not null default tenure_now(),
  unique (user_id, app_id, kind, source_id)
);
create index assignment_grants_app on assignment_grants (app_id, user_id);
create index assignment_grants_expiry on assignment_grants (expires_at) where expires_at is not null;

create table group_assignments (
  id bigint generated always as identity primary key,
  app_id text not null references apps on delete cascade,
  group_id text not null references groups on delete cascade,
  priority int not null,
  profile jsonb not null default '{}',
  expires_at timestamptz,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now(),
  unique (app_id, group_id)
);
create index group_assignments_group on group_assignments (group_id);
create index group_assignments_expiry on group_assignments (expires_at) where expires_at is not null;

-- grants: why the account is wanted, as computed with want. match_key: the value it is looked for by. released_at: the assignment ended and the app keeps the
-- account (deactivation off): nobody manages it, it is listed as an orphan. pending: a person must do it (manual app).
create table accounts (
  id text primary key default new_id('0ua'),
  app_id text not null references apps on delete cascade,
  user_id text not null references users on delete cascade,
  external_id text,
  assigned boolean not null default false,
  want jsonb,
  want_revision int not null default 0,
  have jsonb,
  have_revision int not null default 0,
  grants jsonb not null default '[]',
  snapshot jsonb,
  match_key text,
  pending text check (pending in ('create', 'update', 'remove')),
  error text,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now(),
  assigned_at timestamptz,
  released_at timestamptz,
  synced_at timestamptz,
  unique (app_id, user_id)
);
create index accounts_user on accounts (user_id);
create unique index accounts_external on accounts (app_id, external_id) where external_id is not null;

create table work (
  account_id text primary key references accounts on delete cascade,
  app_id text not null,
  user_id text not null,
  revision int not null,
  due_at timestamptz,
  priority smallint not null,
  unsure boolean not null default false,
  -- Every match key a create may have been sent with: after a lost reply and a new name the account has the old one.
  tried_keys text[] not null default '{}',
  attempts int not null default 0,
  fault text,
  fault_detail text,
  fault_attribute text,
  first_fault_at timestamptz,
  claimed_by text,
  claimed_until timestamptz,
  cause bigint,
  marked_at timestamptz not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
create index work_due on work (app_id, priority, due_at) where due_at is not null;
create index work_fault on work (app_id, fault) where fault is not null;

-- What an app holds that is nobody's account, as the last reconcile saw it.
create table orphans (
  app_id text not null references apps on delete cascade,
  external_id text not null,
  profile jsonb not null,
  enabled boolean not null,
  decision text check (decision in ('ignore')),
  seen_at timestamptz not null,
  primary key (app_id, external_id)
);

create table dirty (
  user_id text primary key references users on delete cascade,
  priority smallint not null,
  marked_at timestamptz not null,
  cause bigint
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
create index dirty_order on dirty (priority, marked_at);

create table operations (
  id bigint generated always as identity primary key,
  app_id text not null,
  account_id text,
  user_id text,
  push_id text,
  revision int,
  step text not null,
  outcome text not null,
  fault text,
  detail jsonb not null default '{}',
  cause bigint,
  node text not null,
  started_at timestamptz not null,
  finished_at timestamptz not null
);
create index operations_account on operations (account_id, id);
create index operations_push on operations (push_id, id) where push_id is not null;

-- transaction_id: a reader that keeps below pg_snapshot_xmin(pg_current_snapshot()) misses no event that commits late.
create table events (
  seq bigint generated always as identity primary key,
  transaction_id xid8 not null default pg_current_xact_id(),
  uuid uuid not null default gen_random_uuid(),
  published_at timestamptz not null,
  type text not null,
  severity text not null default 'INFO',
  outcome text not null default 'SUCCESS',
  reason text,
  actor jsonb not null,
  targets jsonb not null default '[]',
  user_id text,
  app_id text,
  group_id text,
  cause bigint,
  detail jsonb not null default '{}'
);
-- Who polls the log reads it in this order.
create index events_order on events (transaction_id, seq);
create index events_user on events (user_id, seq) where user_id is not null;
create index events_app on events (app_id, seq) where app_id is not null;
create index events_group on events (group_id, seq) where group_id is not null;
create index events_type on events (type, seq);
create index events_published on events (published_at, seq);

create table push_rules (
  id text primary key default new_id('gPr'),
  app_id text not null references apps on delete cascade,
  name text not null,
  expression text not null,
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'INACTIVE')),
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now(),
  unique (app_id, name)
);

-- mode: create or link as asked for. unlinking: leave, delete: the push ends when the engine has done so.
create table pushed_groups (
  id text primary key default new_id('gPm'),
  app_id text not null references apps on delete cascade,
  group_id text not null references groups on delete cascade,
  push_rule_id text references push_rules on delete set null,
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'INACTIVE')),
  mode text not null check (mode in ('create', 'link')),
  target_id text,
  target_name text,
  pushed_name text,
  unlinking text check (unlinking in ('leave', 'delete')),
  error text,
  fault text,
  attempts int not null default 0,
  generation bigint not null default 0,
  due_at timestamptz,
  full_check boolean not null default true,
  unsure boolean not null default false,
  claimed_by text,
  claimed_until timestamptz,
  cause bigint,
  pushed_at timestamptz,
  reconciled_at timestamptz,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now(),
  unique (app_id, group_id)
);
create index pushed_groups_due on pushed_groups (app_id, due_at) where due_at is not null;
create index pushed_groups_group on pushed_groups (group_id);

create table pushed_members (
  push_id text not null references pushed_groups on delete cascade,
  user_id text not null,
  external_id text not null,
  fault text,
  detail text,
  pushed_at timestamptz not null,
  primary key (push_id, external_id)
);
create index pushed_members_user on pushed_members (user_id);

create table tasks (
  id text primary key default new_id('tsk'),
  kind text not null,
  status text not null default 'OPEN' check (status in ('OPEN', 'DONE', 'DISMISSED')),
  title text not null,
  detail jsonb not null default '{}',
  app_id text references apps on delete cascade,
  user_id text references users on delete cascade,
  account_id text references accounts on delete cascade,
  dedupe text not null,
  cause bigint,
  assignee text,
  due_at timestamptz,
  notes jsonb not null default '[]',
  created_at timestamptz not null default tenure_now(),
  closed_at timestamptz,
  closed_by text
);
create unique index tasks_open on tasks (dedupe) where status = 'OPEN';
create index tasks_account on tasks (account_id) where account_id is not null;

create table imports (
  id text primary key default new_id('imp'),
  app_id text not null references apps on delete cascade,
  status text not null check (status in ('RUNNING', 'HELD', 'DONE', 'FAILED', 'CANCELLED')),
  mode text not null check (mode in ('full', 'incremental')),
  dry_run boolean not null default false,
  counts jsonb not null default '{}',
  detail jsonb not null default '{}',
  cause bigint,
  started_by jsonb not null,
  started_at timestamptz not null,
  finished_at timestamptz
);
create index imports_app on imports (app_id, started_at);
create table import_rows (
  import_id text not null references imports on delete cascade,
  line int not null,
  external_id text,
  profile jsonb,
  enabled boolean not null default true,
  outcome text,
  user_id text,
  detail jsonb,
  primary key (import_id, line)
);
create index import_rows_external on import_rows (import_id, external_id);

create table tokens (
  id text primary key default new_id('00T'),
  name text not null,
  hash text not null unique,
  user_id text references users on delete cascade,
  role text not null default 'SUPER_ADMIN',
  created_at timestamptz not null default tenure_now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz
);

create table secrets (
  table_name text not null,
  row_id text not null,
  column_name text not null,
  key_id text not null,
  sealed bytea not null,
  expires_at timestamptz,
  created_at timestamptz not null default tenure_now(),
  primary key (table_name, row_id, column_name)
);

create table nodes (
  id text primary key,
  started_at timestamptz not null,
  seen_at timestamptz not null,
  detail jsonb not null default '{}'
);
`;
