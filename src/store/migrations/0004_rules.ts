/**
 * Rules over a whole company (docs/decisions/0008-rule-evaluation.md): what is due of each rule, the gate between the
 * engine and changes of the company, and a table of memberships that takes millions of rows.
 *
 * Measured on 623,000 grants, seconds to insert them: 13.3 as it was; 7.4 without the two foreign keys; 6.5 also without
 * the index by source; 5.0 also without the key of `id`. The foreign keys' checks are replaced by locks (the giver of a
 * grant holds the person and the group: directory/locks.ts), their cascades by triggers for each statement. What one
 * rule gave is found in `groups_held`, through the index by group.
 */
export const rules = `
-- due_at: the rule must be asked again over everyone; due_cause: the event that wants it. revision: counts what makes it
-- due or stops it, so that an evaluation does not settle what changed under it. groups_held: every group in which the
-- rule may have grants. claimed_*: the node that is at it.
alter table rules
  add column due_at timestamptz,
  add column due_cause bigint,
  add column revision int not null default 1,
  add column evaluated_at timestamptz,
  add column groups_held text[] not null default '{}',
  add column claimed_by text,
  add column claimed_until timestamptz;

-- Until now whoever a rule concerned was marked dirty one by one, and those marks may still be waiting.
update rules r set
  due_at = case when status = 'ACTIVE' then tenure_now() end,
  groups_held = array(
    select unnest(r.group_ids)
    union select m.group_id from membership_grants m where m.kind = 'rule' and m.source_id = r.id);

-- At most one row. See directory/gate.ts.
create table company_gate (one boolean primary key default true check (one), revision bigint not null);

alter table membership_grants
  drop constraint membership_grants_user_id_fkey,
  drop constraint membership_grants_group_id_fkey,
  drop constraint membership_grants_pkey,
  drop constraint membership_grants_user_id_group_id_kind_source_id_key,
  add primary key (user_id, group_id, kind, source_id);
drop index membership_grants_source;

create function end_grants_of_users() returns trigger language plpgsql as $$
begin
  delete from membership_grants m using old_rows o where m.user_id = o.id;
  return null;
end $$;
create trigger users_end_grants after delete on users
  referencing old table as old_rows for each statement execute function end_grants_of_users();

create function end_grants_in_groups() returns trigger language plpgsql as $$
begin
  delete from membership_grants m using old_rows o where m.group_id = o.id;
  return null;
end $$;
create trigger groups_end_grants after delete on groups
  referencing old table as old_rows for each statement execute function end_grants_in_groups();
`;
