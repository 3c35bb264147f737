/**
 * Asking a source only for what changed: what the last import that was carried out kept for the next one (`import_since`),
 * when it began to read, and of which configuration that is, so that another one is never asked with it. Beside the schedule of
 * full imports there is one of those (`changes_due_at`, `changes_schedule`).
 */
export const importChanges = `
alter table app_health add column import_since text, add column import_since_at timestamptz, add column import_since_of text,
  add column changes_due_at timestamptz, add column changes_schedule text;
`;
