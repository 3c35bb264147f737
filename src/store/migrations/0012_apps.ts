/**
 * What sign-on clients keep of an app beside its provisioning: signing keys, certificate requests, client secrets, scope
 * grants, a logo, connections to other apps; and the owners of groups.
 *
 * Every app has the id of its signing key from the first moment, so that creating an app stays one insert; the key
 * behind it is made when somebody first asks for it. `client_id` follows from what clients say of the app.
 *
 * What is sealed (private keys, client secrets) lies in `secrets` and goes with its row.
 */
export const apps = `
create function new_kid() returns text language sql volatile as
$$ select rtrim(translate(encode(sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')), 'base64'), '+/', '-_'), '=') $$;

alter table apps add column signing_kid text not null default new_kid();
create index apps_signing_kid on apps (signing_kid);
alter table apps add column client_id text generated always as (
  case when settings->>'signOnMode' = 'OPENID_CONNECT'
    then coalesce(nullif(settings#>>'{credentials,oauthClient,client_id}', ''), id) end) stored;
create unique index apps_client_id on apps (client_id);

create table app_keys (
  app_id text not null references apps on delete cascade,
  kid text not null,
  modulus text not null,
  exponent text not null,
  -- DER in base64, as x5c has it.
  certificate text not null,
  expires_at timestamptz not null,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now(),
  primary key (app_id, kid)
);

create table app_csrs (
  app_id text not null references apps on delete cascade,
  id text not null default new_kid(),
  request text not null,
  modulus text not null,
  exponent text not null,
  created_at timestamptz not null default tenure_now(),
  primary key (app_id, id)
);

create table client_secrets (
  id text primary key default new_id('ocs'),
  app_id text not null references apps on delete cascade,
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'INACTIVE')),
  -- SHA-256, base64url: a secret is long and random, or refused.
  hash text not null,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now()
);
create index client_secrets_app on client_secrets (app_id);

create table client_grants (
  id text primary key default new_id('oag'),
  app_id text not null references apps on delete cascade,
  scope text not null,
  issuer text not null,
  created_by text not null,
  created_by_type text not null,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now(),
  unique (app_id, scope)
);

create table logos (
  app_id text primary key references apps on delete cascade,
  type text not null,
  bytes bytea not null,
  updated_at timestamptz not null default tenure_now()
);

create table cross_app_connections (
  id text primary key default new_id('con'),
  requesting_app text not null references apps on delete cascade,
  resource_app text not null references apps on delete cascade,
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'INACTIVE')),
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now(),
  unique (requesting_app, resource_app)
);
create index cross_app_connections_resource on cross_app_connections (resource_app);

create table group_owners (
  group_id text not null references groups on delete cascade,
  owner_user text references users on delete cascade,
  owner_group text references groups on delete cascade,
  created_at timestamptz not null default tenure_now(),
  check (num_nonnulls(owner_user, owner_group) = 1),
  unique nulls not distinct (group_id, owner_user, owner_group)
);
create index group_owners_user on group_owners (owner_user);
create index group_owners_group on group_owners (owner_group);

create function drop_secrets_of_keys() returns trigger language plpgsql as $$
begin
  delete from secrets s using old_rows o where s.table_name = 'app_keys' and s.row_id = o.app_id || '/' || o.kid;
  return null;
end $$;
create trigger app_keys_drop_secrets after delete on app_keys
  referencing old table as old_rows for each statement execute function drop_secrets_of_keys();

create function drop_secrets_of_csrs() returns trigger language plpgsql as $$
begin
  delete from secrets s using old_rows o where s.table_name = 'app_csrs' and s.row_id = o.app_id || '/' || o.id;
  return null;
end $$;
create trigger app_csrs_drop_secrets after delete on app_csrs
  referencing old table as old_rows for each statement execute function drop_secrets_of_csrs();

create function drop_secrets_of_clients() returns trigger language plpgsql as $$
begin
  delete from secrets s using old_rows o where s.table_name = 'client_secrets' and s.row_id = o.id;
  return null;
end $$;
create trigger client_secrets_drop_secrets after delete on client_secrets
  referencing old table as old_rows for each statement execute function drop_secrets_of_clients();
`;
