-- What a phone said of itself in its last heartbeat.
alter table devices add column time_zone {text};
alter table devices add column battery bigint;
alter table devices add column charging bigint;
alter table devices add column permission {text};
alter table devices add column outbox bigint;

-- When its last contact began, and the lengths of the last 20 intervals between contacts (ms, JSON).
alter table devices add column contact_ms bigint;
alter table devices add column intervals {text};

-- Up to when it is known to be complete, and the newest row (JSON) of the read that showed it.
alter table devices add column synced_through_ms bigint;
alter table devices add column newest_row {text};

alter table accounts add column last_gap bigint not null default 0;

-- Stretches that nobody can vouch for.
create table gaps (
    account_id bigint not null references accounts (id),
    id bigint not null,
    device_id bigint not null,
    from_ms bigint not null,
    to_ms bigint not null,
    closed_ms bigint,
    primary key (account_id, id)
);
create index gaps_by_device on gaps (account_id, device_id);
