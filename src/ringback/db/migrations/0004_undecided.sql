-- A call whose local time can mean two instants has `second` as the earlier, `other_second` as the later, and as its
-- `occurrence` -1 minus its number among the rows of that local time, until a certain report decides it.
alter table calls add column other_second bigint;
-- That number, which it keeps when it is decided.
alter table calls add column undecided_number bigint;
create index calls_undecided on calls (account_id, device_id, direction, other_second, key_hash)
    where other_second is not null;
