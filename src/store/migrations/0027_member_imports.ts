/**
 * Files of members of groups are kept like those of people, with the group of each row. `kind`: what a file is of;
 * `exact`: it said all members by hand, and others left.
 *
 * The group of a row may be deleted later; what the import did to its members stays told.
 */
export const memberImports = `
alter table people_imports add column kind text not null default 'people' check (kind in ('people', 'members'));
alter table people_imports add column exact boolean not null default false;

alter table people_import_rows add column group_id text;
alter table people_import_rows add column group_name text;
alter table people_import_rows drop constraint people_import_rows_outcome_check;
alter table people_import_rows add constraint people_import_rows_outcome_check
  check (outcome in ('create', 'update', 'join', 'leave'));
`;
