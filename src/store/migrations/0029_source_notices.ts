/**
 * What sources told of: the ids of people who are to be read again, each once however often it was told (`told` counts, so
 * that one who is told of while being read is read once more), and whose turn it is to read a source's.
 *
 * `due_at` of a turn: the source is not asked before. `node`: who reads now; a node that died has its turn taken.
 */
export const sourceNotices = `
create table source_notice_turns (
  app_id text primary key references apps on delete cascade,
  due_at timestamptz,
  attempts int not null default 0,
  problem text,
  node text
);
create table source_notices (
  app_id text not null references source_notice_turns on delete cascade,
  external_id text not null,
  told bigint not null default 1,
  attempts int not null default 0,
  problem text,
  noted_at timestamptz not null,
  due_at timestamptz not null,
  primary key (app_id, external_id)
);
create index source_notices_due on source_notices (app_id, due_at);
`;
