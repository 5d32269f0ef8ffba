-- What has happened, with the body that others get to hear; kept for 30 days.
create table events (
    account_id bigint not null references accounts (id),
    change bigint not null,       -- the account's change number, one of its own
    id {text} not null,           -- a UUID
    type {text} not null,
    body {text} not null,
    created_ms bigint not null,
    webhook_id bigint,            -- the only endpoint that it is for; null: whoever wants to know
    primary key (account_id, change)
);
create index events_by_age on events (account_id, created_ms);

-- Where others want to hear of it.
create table webhooks (
    account_id bigint not null references accounts (id),
    id bigint not null,
    url {text} not null,
    events {text} not null,       -- types, separated by commas
    status {text} not null,       -- active, paused, disabled
    secret {text} not null,
    old_secret {text},            -- the one before, which is valid too until
    old_until_ms bigint not null default 0,
    failing_since_ms bigint,      -- the first failure since the last success
    hold_ms bigint not null default 0,  -- nothing is sent before: the receiver asked for it
    created_ms bigint not null,
    primary key (account_id, id)
);

-- One for each endpoint and event. Whether one that is pending is held says its endpoint.
create table deliveries (
    account_id bigint not null references accounts (id),
    id bigint not null,
    webhook_id bigint not null,
    change bigint not null,       -- the event's
    status {text} not null,       -- pending, delivered, failed, cancelled
    created_ms bigint not null,
    due_ms bigint not null,
    lease_ms bigint not null default 0,   -- a worker sends it until then
    round bigint not null default 0,      -- plans that were begun before this one
    tries bigint not null default 0,      -- attempts of this plan
    attempts bigint not null default 0,   -- attempts of all plans
    primary key (account_id, id),
    unique (account_id, webhook_id, change)
);
create index deliveries_due on deliveries (account_id, webhook_id, due_ms, id) where status = 'pending';
create index deliveries_by_webhook on deliveries (account_id, webhook_id, id);

create table attempts (
    account_id bigint not null references accounts (id),
    delivery_id bigint not null,
    number bigint not null,
    at_ms bigint not null,
    duration_ms bigint not null,
    status bigint,                -- of HTTP; null: there was no answer
    error {text},
    answer {text},                -- its beginning
    primary key (account_id, delivery_id, number)
);

alter table accounts add column last_webhook bigint not null default 0;
alter table accounts add column last_delivery bigint not null default 0;
-- Kinds that a call had before its present one, as bits: it becomes each for the first time only once.
alter table calls add column earlier_kinds bigint not null default 0;
-- Since when a phone's silence has been told.
alter table devices add column silent_ms bigint;
