/**
 * Sessions of sources that send their people by themselves (Okta's Identity Sources API): what was sent waits here until
 * an import takes it.
 *
 * - A source loads one session at a time, and one of its sessions is carried out at a time: two unique indexes see to it,
 *   however many nodes try. Whose turn it is: directory/importSessions.ts.
 * - `claimed_by` is the import that carries a session out, until `claimed_until`. Whoever finds that time over, or the node
 *   of that import dead, takes the session again: what was applied compares as unchanged.
 * - A row is the last word of its session about a person, a group or a member; the session's end takes it away.
 */
export const importSessions = `
create table import_sessions (
  id text primary key default new_id('aps'),
  app_id text not null references apps on delete cascade,
  status text not null default 'CREATED'
    check (status in ('CREATED', 'IN_PROGRESS', 'TRIGGERED', 'COMPLETED', 'CLOSED', 'EXPIRED', 'ERROR')),
  -- A record that was sent by itself: no session that a client made, or is shown.
  single boolean not null default false,
  calls int not null default 0,
  created_by jsonb not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  started_by jsonb,
  triggered_at timestamptz,
  cause bigint,
  claimed_by text,
  claimed_until timestamptz,
  attempts int not null default 0,
  -- By a guard: a person decides about \`import_id\`, the last import that carried it out.
  held boolean not null default false,
  import_id text,
  reason text
);
create unique index import_sessions_loading on import_sessions (app_id) where status in ('CREATED', 'IN_PROGRESS');
create unique index import_sessions_running on import_sessions (app_id) where claimed_by is not null;
create index import_sessions_app on import_sessions (app_id, id);
create index import_sessions_waiting on import_sessions (app_id, triggered_at, id) where status = 'TRIGGERED';

create table import_session_rows (
  session_id text not null references import_sessions on delete cascade,
  kind text not null check (kind in ('user', 'group', 'member')),
  -- Of the person, or of the group.
  external_id text not null,
  -- Of the person who is a member; else empty.
  member_id text not null default '',
  n bigint generated always as identity,
  profile jsonb not null default '{}',
  gone boolean not null default false,
  -- What \`profile\` does not name stays as it is.
  partial boolean not null default false,
  primary key (session_id, kind, external_id, member_id)
);
create index import_session_rows_n on import_session_rows (session_id, kind, n);
`;
