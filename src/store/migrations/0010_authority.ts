/**
 * Who may do what: administrator roles of people and groups, narrowed by targets; roles put together by an administrator
 * and the sets of resources they hold for; tokens with scopes; what an administrator wants to be told; and which calls
 * were made.
 *
 * - A person's direct SUPER_ADMIN is `users.super_admin`, because the life cycle protects by it, and is nowhere else;
 *   `admin_grants` shows both as one. `admin_groups` are the groups whose members are administrators.
 * - A grant without targets holds for everything; `narrowed` says that targets were given once, so that losing the last
 *   one (its group is deleted) leaves a role over nothing and never over everything.
 */
export const authority = `
create table custom_roles (
  id text primary key default new_id('cr0'),
  label text not null,
  description text not null,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now()
);
create unique index custom_roles_label on custom_roles (lower(label));

create table custom_role_permissions (
  role_id text not null references custom_roles on delete cascade,
  permission text not null,
  conditions jsonb,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now(),
  primary key (role_id, permission)
);

create table resource_sets (
  id text primary key default new_id('iam'),
  label text not null,
  description text not null,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now()
);
create unique index resource_sets_label on resource_sets (lower(label));

-- What a set holds: everything of a kind, one of them, the members of one group, or every app of one name.
create table resource_set_members (
  id text primary key default new_id('ire'),
  set_id text not null references resource_sets on delete cascade,
  kind text not null check (kind in ('users', 'user', 'groups', 'group', 'group_users', 'apps', 'app_name', 'app', 'other')),
  ref text,
  created_at timestamptz not null default tenure_now(),
  unique nulls not distinct (set_id, kind, ref)
);

create table role_grants (
  id text primary key,
  assignee_user text references users on delete cascade,
  assignee_group text references groups on delete cascade,
  role text not null,
  custom_role_id text references custom_roles,
  resource_set_id text references resource_sets,
  narrowed boolean not null default false,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  check (num_nonnulls(assignee_user, assignee_group) = 1),
  check ((role = 'CUSTOM') = (custom_role_id is not null and resource_set_id is not null)),
  check (role <> 'SUPER_ADMIN' or assignee_user is null),
  unique nulls not distinct (assignee_user, assignee_group, role, custom_role_id, resource_set_id)
);
create index role_grants_group on role_grants (assignee_group);
create index role_grants_custom on role_grants (custom_role_id, resource_set_id);
create index users_super_admin on users (id) where super_admin;

create table role_targets (
  grant_id text not null references role_grants on delete cascade,
  group_id text references groups on delete cascade,
  app_id text references apps on delete cascade,
  app_name text,
  created_at timestamptz not null default tenure_now(),
  check (num_nonnulls(group_id, app_id, app_name) = 1),
  unique nulls not distinct (grant_id, group_id, app_id, app_name)
);
create index role_targets_group on role_targets (group_id);
create index role_targets_app on role_targets (app_id);

create view admin_grants as
  select id, assignee_user, assignee_group, role, custom_role_id, resource_set_id, narrowed, created_at, updated_at
  from role_grants
  union all
  select 'ra1' || substr(id, 4), id, null, 'SUPER_ADMIN', null, null, false, created_at, created_at
  from users where super_admin;

create view admin_groups as select distinct assignee_group as group_id from role_grants where assignee_group is not null;

-- Only what differs from the standard of its type.
create table subscriptions (
  -- A person's id or a role.
  subscriber text not null,
  type text not null,
  subscribed boolean not null,
  primary key (subscriber, type)
);

alter table tokens add column scopes text[], add column client_id text, add column jkt text, add column network jsonb;
create index tokens_user on tokens (user_id);
create index tokens_client on tokens (client_id) where client_id is not null;

-- Signed assertions and proofs serve once: what was seen, until it would be refused as too old anyway.
create table seen_assertions (id text primary key, expires_at timestamptz not null);
create index seen_assertions_expiry on seen_assertions (expires_at);

create table api_calls (
  day date not null,
  method text not null,
  pattern text not null,
  status int not null,
  served boolean not null,
  calls bigint not null,
  primary key (day, method, pattern, status)
);
`;
