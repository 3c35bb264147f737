/**
 * Imports of a million rows (docs/decisions/0006-import-stage.md): what a new person costs in foreign keys and indexes.
 *
 * Measured over 100,000 people, microseconds of PostgreSQL per row: inserting accounts 35 with both foreign keys, 26
 * without; dirty marks 12 and 5; import rows 10 and 4, without the key and the index that only staged rows needed. Each
 * check locked its parent row, and wrote that to disk. In their place:
 *
 * - whoever inserts an account holds its person (created or locked in the same transaction, or marked dirty and held by
 *   the engine), so nobody deletes them meanwhile; a mark of someone deleted is answered by nothing;
 * - that the app is there is asked once for a statement, with the lock that the foreign key took;
 * - what a deletion took away goes by triggers for each statement.
 *
 * Events are written in the order of their time, so a summary of each range of pages finds a time as well as an entry for
 * each event, two of which a new person brings: 1.2 microseconds less for each.
 */
export const imports = `
alter table accounts drop constraint accounts_app_id_fkey, drop constraint accounts_user_id_fkey;
alter table dirty drop constraint dirty_user_id_fkey;

create function hold_app_of_accounts() returns trigger language plpgsql as $$
begin
  perform 1 from apps where id in (select app_id from new_rows) order by id for key share;
  if exists (select from new_rows n where not exists (select from apps where id = n.app_id)) then
    raise foreign_key_violation using message = 'the app of an account is not there any more';
  end if;
  return null;
end $$;
create trigger accounts_hold_app after insert on accounts
  referencing new table as new_rows for each statement execute function hold_app_of_accounts();

create function end_accounts_of_users() returns trigger language plpgsql as $$
begin
  delete from dirty d using old_rows o where d.user_id = o.id;
  delete from accounts a using old_rows o where a.user_id = o.id;
  return null;
end $$;
create trigger users_end_accounts after delete on users
  referencing old table as old_rows for each statement execute function end_accounts_of_users();

create function end_accounts_of_apps() returns trigger language plpgsql as $$
begin
  delete from accounts a using old_rows o where a.app_id = o.id;
  return null;
end $$;
create trigger apps_end_accounts after delete on apps
  referencing old table as old_rows for each statement execute function end_accounts_of_apps();

alter table import_rows drop constraint import_rows_import_id_fkey;
drop index import_rows_external;

create function end_rows_of_imports() returns trigger language plpgsql as $$
begin
  delete from import_rows r using old_rows o where r.import_id = o.id;
  return null;
end $$;
create trigger imports_end_rows after delete on imports
  referencing old table as old_rows for each statement execute function end_rows_of_imports();

drop index events_published;
create index events_published on events using brin (published_at);
`;
