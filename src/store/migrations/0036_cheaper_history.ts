/**
 * History of accounts with less to do. Whatever decides on new accounts also fires the trigger of changed ones, with none:
 * planning a statement for them took 0.5 ms of each batch. And of an account that is confirmed for the first time, what
 * stayed is compared as it is stored: as values, the profile alone took half of the 3 microseconds of each. What is equal
 * and stored in another way is kept as history, which says no less.
 */
import { earliest, since, unmoved } from "./0035_first_confirms.ts";

const image = (row: string) => `row(${unmoved.map((name) => `${row}.${name}`).join(", ")})`;

export const cheaperHistory = `
create or replace function keep_account_history() returns trigger language plpgsql as $$
begin
  if not exists (select from old_rows) then
    return null;
  end if;
  if tg_op = 'UPDATE' then
    -- Planned for each statement: a plan made for one account would compare each of a thousand with all others.
    execute 'insert into accounts_history select o.*, ${since("o")}, $1
      from old_rows o join new_rows n on n.id = o.id
      where o.* is distinct from n.* and not (
        o.have is null and o.external_id is null and o.have_revision = 0 and o.synced_at is null
        and n.synced_at > o.created_at and record_image_eq(${image("o")}, ${image("n")}) and ${earliest("o")})'
      using tenure_now();
  else
    execute 'insert into accounts_history select o.*, ${since("o")}, $1 from old_rows o' using tenure_now();
  end if;
  return null;
end $$;
`;
