/**
 * What a person has decided about a row of a source that nobody has yet: it makes someone new, is someone who is there, or
 * is ignored. The next import that has the row carries it out, and takes it away again, but for those to be ignored.
 */
export const importDecisions = `
create table import_decisions (
  app_id text not null references apps on delete cascade,
  external_id text not null,
  kind text not null check (kind in ('create', 'link', 'ignore')),
  user_id text,
  decided_by text not null,
  decided_at timestamptz not null,
  primary key (app_id, external_id),
  check ((kind = 'link') = (user_id is not null))
);
create unique index import_decisions_user on import_decisions (app_id, user_id) where user_id is not null;
create index import_rows_waiting on import_rows (import_id) where outcome in ('waiting', 'skipped', 'refused');
`;
