-- People and their sessions are global and small: a person signs in before an account is known, and may have several.
create table people (
    id bigint primary key,
    email {text} not null unique, -- in lower case
    password_hash {text} not null,
    totp_secret {text},           -- null: no second factor
    totp_step bigint,             -- the 30 s step of the last code that was used, which is not taken twice
    language {text},
    theme {text},
    created_ms bigint not null
);
alter table installation add column last_person bigint not null default 0;

create table members (
    account_id bigint not null references accounts (id),
    person_id bigint not null references people (id),
    role {text} not null,
    created_ms bigint not null,
    primary key (account_id, person_id)
);
create index members_by_person on members (person_id);

create table sessions (
    hash {text} primary key,
    id {text} not null unique,    -- by which the person ends it
    person_id bigint not null references people (id),
    account_id bigint not null references accounts (id),
    verified bigint not null,     -- 0: the password was right, the second factor is still to come
    created_ms bigint not null,
    last_seen_ms bigint not null,
    browser {text} not null,
    address {text} not null
);
create index sessions_by_person on sessions (person_id);

-- Links that work once: set-up, invitation, reset, login.
create table links (
    hash {text} primary key,
    purpose {text} not null,
    account_id bigint references accounts (id),
    email {text},
    role {text},
    expires_ms bigint not null,
    used_ms bigint
);

create table login_tries (
    subject {text} not null,      -- a digest of whom was tried, or of the address
    at_ms bigint not null
);
create index login_tries_by_subject on login_tries (subject, at_ms);

alter table accounts add column language {text};
