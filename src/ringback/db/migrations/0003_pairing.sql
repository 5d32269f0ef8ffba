-- A phone that is paired again has two tokens until it uses the new one.
alter table devices add column next_token_hash {text};
alter table devices add column platform {text};
alter table devices add column agent_version {text};
create unique index devices_by_next_token on devices (account_id, next_token_hash);

-- Where the server listens, as phones can reach it.
alter table installation add column listen_url {text};

-- Global and small: a phone that pairs knows its code and not yet its account.
create table pairing_codes (
    hash {text} primary key,
    account_id bigint not null references accounts (id),
    name {text} not null,
    new_device bigint not null,   -- 1: never take over the device of imported calls
    expires_ms bigint not null,
    used_ms bigint
);

create table pairing_tries (
    address {text} not null,
    at_ms bigint not null
);
create index pairing_tries_by_address on pairing_tries (address, at_ms);
