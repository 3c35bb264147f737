/**
 * Ends that somebody is told of ahead, such as a contractor's (engine/endWarnings.ts): so many days before, from when that
 * is due, and the end that it was told of. An end is told once; another one is told anew.
 */
export const facts = `
alter table person_dates add column warn_days int, add column warns_at timestamptz, add column warned_end timestamptz;
create index person_dates_warns on person_dates (warns_at) where warns_at is not null;
create index person_dates_warned on person_dates (user_id) where warned_end is not null;
`;
