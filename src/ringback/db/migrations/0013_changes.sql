-- What has changed since, in the order of commits.
create index calls_by_change on calls (account_id, change);
create index tombstones_by_change on tombstones (account_id, change);

-- Up to which change number events have been deleted, since they were too old.
alter table accounts add column forgotten_change bigint not null default 0;
