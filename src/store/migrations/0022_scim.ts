/**
 * What sources push over SCIM, as they last said it: the source itself, as far as an import can tell. A person whom the
 * source tells of is an account of the source's app whose external id is the id here; a group, a group of that app.
 *
 * - `name_key` is what must be unique in a source, a user's name or a group's, without case.
 * - A user who was deleted stays as a row with `deleted_at`, so that an import that a guard holds can still let them leave,
 *   and who comes back under the same name is the same person.
 * - Of the filters that clients look people up by, that of an e-mail address is the only one without a column of its own:
 *   `scim_mails` gives all of a person, without case.
 * - Members are rows of their own: a group of 50,000 is not written anew for one more.
 */
export const scim = `
create table scim_resources (
  id text primary key default new_id('scm'),
  app_id text not null references apps on delete cascade,
  type text not null check (type in ('User', 'Group')),
  resource jsonb not null,
  name_key text generated always as (
    lower(case type when 'User' then resource->>'userName' else resource->>'displayName' end)) stored not null,
  external_id text generated always as (resource->>'externalId') stored,
  version int not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  deleted_at timestamptz
);
create unique index scim_resources_name on scim_resources (app_id, type, name_key) where deleted_at is null;
create index scim_resources_deleted on scim_resources (app_id, name_key) where deleted_at is not null;
create index scim_resources_external on scim_resources (app_id, type, external_id) where external_id is not null;
create index scim_resources_page on scim_resources (app_id, type, id) where deleted_at is null;

create function scim_mails(resource jsonb) returns text[] language sql immutable parallel safe as $$
  select coalesce(array_agg(lower(e.item->>'value')) filter (where e.item->>'value' is not null), '{}')
  from jsonb_array_elements(case jsonb_typeof(resource->'emails') when 'array' then resource->'emails' else '[]' end) as e(item)
$$;
create index scim_resources_mails on scim_resources using gin (scim_mails(resource)) where deleted_at is null;

create table scim_members (
  group_id text not null references scim_resources on delete cascade,
  member_id text not null references scim_resources on delete cascade,
  primary key (group_id, member_id)
);
create index scim_members_member on scim_members (member_id);
`;
