-- Calls that were deleted: what makes them the same call stays, so that they stay deleted when they are sent again.
create table tombstones (
    account_id bigint not null references accounts (id),
    id bigint not null,           -- the call's
    device_id bigint not null,
    direction bigint not null,
    second bigint not null,
    key_hash bigint not null,
    occurrence bigint not null,
    other_second bigint,
    undecided_number bigint,
    change bigint not null,       -- the account's change number of the deletion
    deleted_ms bigint not null,
    primary key (account_id, id)
);
create unique index tombstones_by_identity on tombstones (account_id, device_id, direction, second, key_hash, occurrence);
create index tombstones_undecided on tombstones (account_id, device_id, direction, other_second, key_hash)
    where other_second is not null;
