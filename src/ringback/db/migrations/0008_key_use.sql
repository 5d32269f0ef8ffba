alter table keys add column last_used_ms bigint;  -- within some minutes
