-- What became of each file.
create table imports (
    account_id bigint not null references accounts (id),
    id bigint not null,
    name {text} not null,         -- the file's
    format {text},                -- null: not known (yet)
    state {text} not null,        -- running, done, refused or interrupted
    started_ms bigint not null,
    touched_ms bigint not null,   -- the last sign of life; without one a running import was interrupted
    readable bigint,              -- rows that can be taken; null: still reading
    created bigint not null default 0,
    updated bigint not null default 0,
    duplicate bigint not null default 0,
    withheld bigint not null default 0,
    rejected bigint not null default 0,
    damage {text},                -- what is wrong with the file as a whole
    primary key (account_id, id)
);
alter table accounts add column last_import bigint not null default 0;

alter table rejected add column import_id bigint;  -- null: it came from the phone
create index rejected_by_import on rejected (account_id, import_id, id);
