-- A fetch that breaks off goes on at the next attempt: what has come lies in a transfer of the file.
-- What tells that the source is still the same (a strong entity tag, or the time of its last
-- change), the most bytes at which attempts began to be counted anew, and the time spent so far.
ALTER TABLE files
    ADD COLUMN fetch_validator text,
    ADD COLUMN fetch_mark bigint NOT NULL DEFAULT 0,
    ADD COLUMN fetch_spent_s double precision NOT NULL DEFAULT 0;
