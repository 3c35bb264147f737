/**
 * A rule that was given other groups forgot those in which somebody deactivated was still by it, and left them there when
 * it was deleted. Rules remember again where they have grants; grants of rules that are gone end, and their people are
 * looked at.
 */
export const forgottenGrants = `
update rules r set groups_held = array(select unnest(r.groups_held) union select unnest(held.groups))
from (
  select source_id, array_agg(distinct group_id) as groups from membership_grants where kind = 'rule' group by 1
) held
where r.id = held.source_id;

with gone as (
  delete from membership_grants m
  where m.kind = 'rule' and not exists (select from rules r where r.id = m.source_id) returning user_id
)
insert into dirty (user_id, priority, marked_at)
select distinct user_id, 20, tenure_now() from gone on conflict (user_id) do nothing;
`;
