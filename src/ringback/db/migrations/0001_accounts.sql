-- Every table but the small global ones begins with the account, so that the tables can be spread by account.

create table installation (
    only_row bigint primary key check (only_row = 1),
    history {text} not null,      -- an id of this database's history, which cursors name
    secret {text} not null,       -- signs cursors
    last_account bigint not null
);

create table accounts (
    id bigint primary key,
    name {text} not null unique,
    email {text},
    date_limit {text},            -- the last valid day, YYYY-MM-DD; null: no end
    time_zone {text} not null,
    created_ms bigint not null,
    -- The last number that was given of each; taken under this row's lock, so that their order is that of commits.
    last_key bigint not null default 0,
    last_device bigint not null default 0,
    last_call bigint not null default 0,
    last_party bigint not null default 0,
    last_change bigint not null default 0,
    last_rejected bigint not null default 0
);

create table keys (
    account_id bigint not null references accounts (id),
    id bigint not null,
    name {text} not null,
    hash {text} not null,
    created_ms bigint not null,
    revoked_ms bigint,
    primary key (account_id, id),
    unique (account_id, hash)
);

create table devices (
    account_id bigint not null references accounts (id),
    id bigint not null,
    name {text} not null,
    token_hash {text},            -- null: its calls came from files alone
    created_ms bigint not null,
    last_seen_ms bigint,          -- its last request; null: none yet
    revoked_ms bigint,
    primary key (account_id, id),
    unique (account_id, name),
    unique (account_id, token_hash)
);
