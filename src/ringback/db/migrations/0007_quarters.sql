-- Calls per quarter of an hour in UTC: a day of any time zone, a heat map, a total is a sum of them. Kept by the write.
create table quarters (
    account_id bigint not null references accounts (id),
    kind bigint not null,
    quarter bigint not null,      -- at_ms / 900,000
    n bigint not null,
    primary key (account_id, kind, quarter)
){clustered};
insert into quarters (account_id, kind, quarter, n)
    select account_id, kind, at_ms / 900000, count(*) from calls group by account_id, kind, at_ms / 900000;

create index calls_by_moment on calls (account_id, at_ms, id);
-- All calls with a number: whether it was called back, and what names it had.
create index calls_by_number on calls (account_id, key_hash, at_ms, kind, party_id);
