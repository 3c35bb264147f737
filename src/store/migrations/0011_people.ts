/**
 * People as those meet them who sign in, and types of people.
 *
 * - A user's type is null for the default one, so that a million people of it cost no look-up. Attributes are defined once
 *   for the whole directory; each custom one says which types have it (`types` in core/types.ts), so a schema is a choice
 *   from one list and an expression means the same for everyone.
 * - Tokens, session ids, passwords and answers are kept as hashes only. What a person holds goes with the person.
 * - `users_history` is made anew because a history's columns are those of its table, in order, and then the period.
 */
export const people = `
create table user_types (
  id text primary key default new_id('oty'),
  name text not null,
  display_name text not null,
  description text,
  created_by text not null,
  updated_by text not null,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now()
);
create unique index user_types_name on user_types (lower(name));
insert into user_types (id, name, display_name, description, created_by, updated_by)
values ('oty0000000000default', 'user', 'User', 'Okta user profile template with default permission settings', 'system', 'system');

alter table users add column type_id text references user_types;
create index users_type on users (type_id) where type_id is not null;
create index users_one_time on users ((credentials->>'one_time_hash')) where credentials ? 'one_time_hash';

drop view users_periods;
alter table users_history rename to users_history_before;
drop index users_history_id;
create table users_history as table users with no data;
alter table users_history add column valid_from timestamptz not null, add column valid_to timestamptz not null;
insert into users_history (id, status, prior_status, profile, login, credentials, provenance, hold, super_admin, time_zone,
  starts_at, ends_at, created_at, updated_at, activated_at, status_changed_at, last_login_at, password_changed_at,
  valid_from, valid_to)
select id, status, prior_status, profile, login, credentials, provenance, hold, super_admin, time_zone,
  starts_at, ends_at, created_at, updated_at, activated_at, status_changed_at, last_login_at, password_changed_at,
  valid_from, valid_to
from users_history_before;
drop table users_history_before;
create index users_history_id on users_history (id, valid_to);
create view users_periods as
  select t.*, coalesce((select max(h.valid_to) from users_history h where h.id = t.id), t.created_at) as valid_from,
         null::timestamptz as valid_to
  from users t
  union all select * from users_history;

create table sessions (
  hash text primary key,
  user_id text not null references users on delete cascade,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  password_at timestamptz not null
);
create index sessions_user on sessions (user_id);
create index sessions_expiry on sessions (expires_at);

-- What a sign-in gives out between two steps: each serves once.
create table sign_in_tokens (
  hash text primary key,
  kind text not null check (kind in ('session', 'change', 'answer', 'reset')),
  user_id text not null references users on delete cascade,
  created_at timestamptz not null,
  expires_at timestamptz not null
);
create index sign_in_tokens_user on sign_in_tokens (user_id);
create index sign_in_tokens_expiry on sign_in_tokens (expires_at);

create table sign_in_failures (
  user_id text primary key references users on delete cascade,
  failures int not null,
  failed_at timestamptz not null
);

create table password_history (
  user_id text not null references users on delete cascade,
  hash text not null,
  replaced_at timestamptz not null
);
create index password_history_user on password_history (user_id, replaced_at);

create table linked_objects (
  primary_name text primary key,
  primary_title text not null,
  primary_description text,
  associated_name text not null unique,
  associated_title text not null,
  associated_description text,
  created_at timestamptz not null default tenure_now()
);

create table linked_values (
  link text not null references linked_objects on delete cascade,
  associated_id text not null references users on delete cascade,
  primary_id text not null references users on delete cascade,
  created_at timestamptz not null default tenure_now(),
  primary key (link, associated_id)
);
create index linked_values_primary on linked_values (primary_id, link);
create index linked_values_associated on linked_values (associated_id);

create table factors (
  id text primary key,
  user_id text not null references users on delete cascade,
  type text not null,
  provider text not null,
  status text not null,
  profile jsonb not null,
  answer_hash text,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index factors_user on factors (user_id);

create table user_risks (
  user_id text primary key references users on delete cascade,
  level text not null check (level in ('LOW', 'MEDIUM', 'HIGH')),
  updated_at timestamptz not null
);

create table ui_schemas (
  id text primary key default new_id('uis'),
  body jsonb not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
`;
