-- One row for each (number, name, place) that an account's calls carry: text lives here once, and search runs here.
create table parties (
    account_id bigint not null references accounts (id),
    id bigint not null,
    digest {bytes} not null,      -- of the three texts
    number {text} not null,       -- '' for a hidden caller
    name {text},
    geo_location {text},
    number_fold {text} not null,
    name_fold {text},
    geo_fold {text},
    digits {text} not null,       -- the number's
    primary key (account_id, id),
    unique (account_id, digest)
);

create table calls (
    account_id bigint not null references accounts (id),
    id bigint not null,           -- in the order of arrival
    device_id bigint not null,
    kind bigint not null,         -- Android's number of the call's type; 0: unknown
    party_id bigint not null,
    at_ms bigint not null,
    precise bigint not null,      -- 1: to the millisecond; 0: to the second
    duration_s bigint not null,
    presentation bigint,          -- Android's number
    country_iso {text},
    sim_id {text},
    type_raw {text},
    source {text},
    nearness bigint not null,     -- how near to Android's provider each field's source was, 3 bits a field
    created_ms bigint not null,
    updated_ms bigint not null,
    change bigint not null,       -- the account's change number of its last change
    -- What makes two reports one call. The party changes when a name arrives; this never does.
    direction bigint not null,
    second bigint not null,
    key_hash bigint not null,
    occurrence bigint not null,
    primary key (account_id, id),
    foreign key (account_id, device_id) references devices (account_id, id),
    foreign key (account_id, party_id) references parties (account_id, id)
){clustered};

create unique index calls_by_identity on calls (account_id, device_id, direction, second, key_hash, occurrence);
create index calls_by_date on calls (account_id, kind, at_ms, id);
create index calls_by_duration on calls (account_id, kind, duration_s, at_ms, id);

-- Reports that could not be taken, as they were sent.
create table rejected (
    account_id bigint not null references accounts (id),
    id bigint not null,
    device_id bigint not null,
    place bigint,                 -- the row of the file; null: it came from the phone
    received_ms bigint not null,
    error {text} not null,
    report {text} not null,       -- ASCII JSON: what is no valid Unicode stands there as \udXXX
    digest {bytes} not null,      -- of the report with its names in order
    primary key (account_id, id),
    unique (account_id, device_id, digest)
);
