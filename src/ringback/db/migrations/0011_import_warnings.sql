alter table imports add column warning {text};  -- what may be missing of a file that was taken
