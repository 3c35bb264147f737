/**
 * History: every change of a user, membership, assignment and account is kept, so "who had what on 1 May" is a query.
 *
 * A live row costs nothing when it is inserted: only when it is changed or deleted does a statement-level trigger copy
 * the old row into `<table>_history` with the time it stopped holding. Its beginning is the end of the version before
 * it, or the row's creation. `<table>_periods` joins both sides: every version with [valid_from, valid_to).
 *
 * Statement-level triggers with transition tables: no command can forget history, and bulk statements stay set-based.
 */
const tracked = ["users", "membership_grants", "assignment_grants", "group_assignments", "accounts"] as const;

const keep = `
create function keep_history() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    execute format(
      'insert into %1$I select o.*, coalesce((select max(h.valid_to) from %1$I h where h.id = o.id), o.created_at), $1
       from old_rows o join new_rows n on n.id = o.id where o.* is distinct from n.*', tg_table_name || '_history')
      using tenure_now();
  else
    execute format(
      'insert into %1$I select o.*, coalesce((select max(h.valid_to) from %1$I h where h.id = o.id), o.created_at), $1
       from old_rows o', tg_table_name || '_history')
      using tenure_now();
  end if;
  return null;
end $$;
`;

const track = (table: string) => `
create table ${table}_history as table ${table} with no data;
alter table ${table}_history add column valid_from timestamptz not null, add column valid_to timestamptz not null;
create index ${table}_history_id on ${table}_history (id, valid_to);
${table === "users" ? "" : table === "group_assignments" ? `create index ${table}_history_app on ${table}_history (app_id);` : `create index ${table}_history_user on ${table}_history (user_id, valid_to);`}
create trigger ${table}_keep_update after update on ${table}
  referencing old table as old_rows new table as new_rows for each statement execute function keep_history();
create trigger ${table}_keep_delete after delete on ${table}
  referencing old table as old_rows for each statement execute function keep_history();
create view ${table}_periods as
  select t.*, coalesce((select max(h.valid_to) from ${table}_history h where h.id = t.id), t.created_at) as valid_from,
         null::timestamptz as valid_to
  from ${table} t
  union all select * from ${table}_history;
`;

export const history = keep + tracked.map(track).join("\n");
