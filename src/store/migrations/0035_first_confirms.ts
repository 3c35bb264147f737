/**
 * The first confirm of a new account leaves no history: what stood there before follows from what it left. Every account of
 * a wave of hires was kept twice for it, which was a fifteenth of what PostgreSQL did for one.
 *
 * A version without one before it that was confirmed after its creation held nothing until then: `accounts_periods` tells
 * it as two versions. Only what a confirm itself writes may differ between them; with anything else, history is kept as ever.
 */
export const earliest = (row: string) => `not exists (select from accounts_history h where h.id = ${row}.id)`;

/** Since when a version holds that is the earliest one kept; greatest() passes over a null. */
export const since = (row: string) =>
  `coalesce((select max(h.valid_to) from accounts_history h where h.id = ${row}.id), greatest(${row}.created_at, ${row}.synced_at))`;

export const unmoved = ["assigned", "want", "want_revision", "grants", "snapshot", "match_key", "pending"].concat([
  "error",
  "created_at",
  "updated_at",
  "assigned_at",
  "released_at",
]);
const all = (row: string) => `(${unmoved.map((name) => `${row}.${name}`).join(", ")})`;

export const firstConfirms = `
create function keep_account_history() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    -- Planned for each statement: a plan made for one account would compare each of a thousand with all others.
    execute 'insert into accounts_history select o.*, ${since("o")}, $1
      from old_rows o join new_rows n on n.id = o.id
      where o.* is distinct from n.* and not (
        o.have is null and o.external_id is null and o.have_revision = 0 and o.synced_at is null
        and n.synced_at > o.created_at and ${all("o")} is not distinct from ${all("n")} and ${earliest("o")})'
      using tenure_now();
  else
    execute 'insert into accounts_history select o.*, ${since("o")}, $1 from old_rows o' using tenure_now();
  end if;
  return null;
end $$;

drop trigger accounts_keep_update on accounts;
drop trigger accounts_keep_delete on accounts;
create trigger accounts_keep_update after update on accounts
  referencing old table as old_rows new table as new_rows for each statement execute function keep_account_history();
create trigger accounts_keep_delete after delete on accounts
  referencing old table as old_rows for each statement execute function keep_account_history();

create or replace view accounts_periods as
  with kept as not materialized (
    select t.*, ${since("t")} as valid_from, null::timestamptz as valid_to from accounts t
    union all select * from accounts_history
  )
  select * from kept
  union all
  select id, app_id, user_id, null, assigned, want, want_revision, null, 0, grants, snapshot, match_key, pending, error,
    created_at, updated_at, assigned_at, released_at, null, created_at, valid_from
  from kept k
  where valid_from > created_at
    and not exists (select from accounts_history h where h.id = k.id and h.valid_to <= k.valid_from);
`;
