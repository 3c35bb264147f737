/**
 * Files of people that administrators brought, and what each changed row was before and after, so that an import can be
 * taken back. A dry run leaves nothing here. `undone`: what became of a row when its import was taken back.
 *
 * The person of a row may be deleted later; what the import did to them stays told.
 */
export const peopleImports = `
create table people_imports (
  id text primary key default new_id('pim'),
  status text not null check (status in ('RUNNING', 'DONE', 'STOPPED', 'UNDOING', 'UNDONE')),
  activate boolean not null,
  columns jsonb not null,
  counts jsonb not null,
  reason text,
  started_by jsonb not null,
  started_at timestamptz not null,
  finished_at timestamptz,
  undone_by jsonb,
  undone_at timestamptz
);

create table people_import_rows (
  import_id text not null references people_imports on delete cascade,
  line int not null,
  user_id text not null,
  login text not null,
  outcome text not null check (outcome in ('create', 'update')),
  changes jsonb not null,
  undone text check (undone in ('undone', 'partly', 'left')),
  undone_reason text,
  primary key (import_id, line)
);
create index people_import_rows_open on people_import_rows (import_id, line) where undone is null;
`;
