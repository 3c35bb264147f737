/**
 * Event hooks: addresses that are told what happens, as it happens. What a hook is, is in `event_hooks`; how far it has
 * been told is in the narrow `event_hook_places`, which changes with every delivery; each attempt is a row of
 * `event_hook_deliveries`. Its secret lies in `secrets`.
 *
 * A place is a snapshot, not a number: what was visible in `seen` has been told. So an event is told as soon as its
 * transaction is over, however long others take, and none is missed that commits late. `reading` is the snapshot that is
 * being told now: its events that are not in `seen`, in the order of their numbers, of which those up to `seq` are told.
 */
export const eventHooks = `
create table event_hooks (
  id text primary key default new_id('who'),
  name text not null,
  description text,
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'INACTIVE')),
  event_types text[] not null,
  -- [{ "type", "expression" }]: of these types only what fulfils the expression.
  filters jsonb,
  url text not null,
  -- [{ "key", "value" }]
  headers jsonb not null default '[]',
  -- The header that the secret is sent in.
  secret_header text,
  -- Counts the changes of where and with what it is called: a verification holds for one of them.
  channel integer not null default 1,
  verified_at timestamptz,
  -- How whoever made it reaches us: events name it as where they come from.
  base_url text not null,
  created_by text not null,
  created_at timestamptz not null default tenure_now(),
  updated_at timestamptz not null default tenure_now()
);

create table event_hook_places (
  hook_id text primary key references event_hooks on delete cascade,
  seen pg_snapshot not null,
  reading pg_snapshot,
  seq bigint not null default 0,
  last_seq bigint not null default 0,
  due_at timestamptz not null default tenure_now(),
  attempts integer not null default 0,
  failing_since timestamptz,
  -- When a task was raised about it.
  told_at timestamptz,
  error text,
  delivered_at timestamptz,
  pruned_at timestamptz not null default tenure_now(),
  claimed_by text,
  claimed_until timestamptz
);

create table event_hook_deliveries (
  id text primary key default new_id('whd'),
  hook_id text not null references event_hooks on delete cascade,
  -- The same for every attempt at the same events.
  event_id uuid not null,
  seqs bigint[] not null,
  attempt integer not null,
  outcome text not null check (outcome in ('DELIVERED', 'FAILED')),
  status integer,
  duration_ms integer not null,
  error text,
  -- Sent again because somebody asked for it.
  again boolean not null default false,
  node text not null,
  started_at timestamptz not null
);
create index event_hook_deliveries_hook on event_hook_deliveries (hook_id, id);
`;
