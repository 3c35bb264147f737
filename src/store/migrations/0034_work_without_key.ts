/**
 * Work goes with its account by a statement of its own. A foreign key looked at each new row by itself: 5 percent of what a
 * new account cost PostgreSQL. Who makes work holds the accounts that it is for (`for key share`, or has just written
 * them), so none can be left behind by an account that goes meanwhile.
 */
export const workWithoutKey = `
alter table work drop constraint work_account_id_fkey;

create function end_work_of_accounts() returns trigger language plpgsql as $$
begin
  delete from work w using old_rows o where w.account_id = o.id;
  return null;
end $$;
create trigger accounts_end_work after delete on accounts
  referencing old table as old_rows for each statement execute function end_work_of_accounts();
`;
