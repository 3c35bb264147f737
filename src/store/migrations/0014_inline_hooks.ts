/**
 * Inline hooks: outside systems that are asked while something is done, and what their answer changes.
 *
 * `channel` is where and how, without the secret, which lies sealed in `secrets` and goes with its row. `on_failure` is
 * ours: what is done when a hook gives no answer. Only one active hook may be asked for people's passwords.
 */
export const inlineHooks = `
create table inline_hooks (
  id text primary key default new_id('cal'),
  type text not null,
  name text not null,
  version text not null,
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'INACTIVE')),
  channel jsonb not null,
  on_failure text not null default 'continue' check (on_failure in ('continue', 'refuse')),
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now()
);
create unique index inline_hooks_password on inline_hooks (type)
  where type = 'com.okta.user.credential.password.import' and status = 'ACTIVE';

create function drop_secrets_of_inline_hooks() returns trigger language plpgsql as $$
begin
  delete from secrets s using old_rows o where s.table_name = 'inline_hooks' and s.row_id = o.id;
  return null;
end $$;
create trigger inline_hooks_drop_secrets after delete on inline_hooks
  referencing old table as old_rows for each statement execute function drop_secrets_of_inline_hooks();
`;
