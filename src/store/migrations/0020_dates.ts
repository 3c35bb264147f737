/**
 * What sources tell of a person's days beside the first and the last one (engine/importDates.ts).
 *
 * - `person_dates`: from when accounts are made, switched off, and whether they are; an absence, and whether it holds. A
 *   table of its own, because few people have any of it, and a column more of `users` is one more of its history.
 * - `scheduled_changes.dates`: first and last day from then on: a return that is known before the leave.
 */
export const dates = `
create table person_dates (
  user_id text primary key references users on delete cascade,
  prepares_at timestamptz,
  -- The clock has come to it: accounts are made, switched off.
  prepared boolean not null default false,
  absent_from timestamptz,
  absent_until timestamptz,
  -- The clock has suspended them for the absence, and brings them back.
  away boolean not null default false
);
create index person_dates_prepares on person_dates (prepares_at) where not prepared;
create index person_dates_absent on person_dates (absent_from) where absent_from is not null or away;

alter table scheduled_changes add column dates jsonb;
`;
