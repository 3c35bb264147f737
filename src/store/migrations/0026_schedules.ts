/**
 * Imports by the clock: when a source is to be read next, and the schedule (with its zone) that this was worked out from,
 * so that a schedule that has changed is worked out anew.
 */
export const schedules = `
alter table app_health add column import_due_at timestamptz, add column import_schedule text;
`;
