/**
 * What sources tell of people beside days and values.
 *
 * - `person_dates`: ends that somebody is told of ahead, such as a contractor's (engine/endWarnings.ts): so many days
 *   before, from when that is due, and the end that it was told of. An end is told once; another one is told anew.
 * - `login_aliases`: logins that people had before, without case, and whose they stay. They are what list attributes of
 *   users hold (`alias_attributes` names them); triggers keep the two the same, and refuse whoever would take another's.
 *   In the database, because a login that is given up is free for whoever waited for that: only a look after the insert
 *   sees it. An attribute that was named once stays named, so that a switch that is turned off frees nobody's.
 */
export const facts = `
alter table person_dates add column warn_days int, add column warns_at timestamptz, add column warned_end timestamptz;
create index person_dates_warns on person_dates (warns_at) where warns_at is not null;
create index person_dates_warned on person_dates (user_id) where warned_end is not null;

create table alias_attributes (name text primary key);
create table login_aliases (
  alias text primary key,
  user_id text not null references users on delete cascade
);
create index login_aliases_user on login_aliases (user_id);

create function aliases_of(profile jsonb, names text[]) returns table (alias text)
language sql immutable parallel safe as $$
  select distinct lower(e.value) from unnest(names) as n(name), jsonb_array_elements_text(
    case jsonb_typeof(profile->n.name) when 'array' then profile->n.name else '[]' end) as e(value)
$$;

create function keep_aliases() returns trigger language plpgsql as $$
declare
  names text[] := (select array_agg(name) from alias_attributes);
  held text;
begin
  if names is null then return null; end if;
  if tg_op = 'UPDATE' then
    delete from login_aliases a using new_rows n
    where a.user_id = n.id and not exists (select from aliases_of(n.profile, names) x where x.alias = a.alias);
  end if;
  insert into login_aliases (alias, user_id)
  select x.alias, n.id from new_rows n, aliases_of(n.profile, names) x
  where not exists (select from login_aliases a where a.alias = x.alias and a.user_id = n.id);
  held := (select n.login from new_rows n join login_aliases a on a.alias = n.login and a.user_id <> n.id limit 1);
  held := coalesce(held, (select x.alias from new_rows n, aliases_of(n.profile, names) x
    join users u on u.login = x.alias where u.id <> n.id limit 1));
  if held is not null then
    raise exception 'the login % was another person''s and stays theirs', held
      using errcode = 'unique_violation', constraint = 'login_aliases_pkey';
  end if;
  return null;
end $$;

create trigger users_aliases_insert after insert on users
  referencing new table as new_rows for each statement execute function keep_aliases();
create trigger users_aliases_update after update on users
  referencing new table as new_rows for each statement execute function keep_aliases();
`;
