-- A file that ingest fetches by itself: a URL, or `blob:` and a key, with the entity tag that it had
-- when it was asked for. Its lease is that of a request that sends it.
ALTER TABLE files
    ADD COLUMN source text,
    ADD COLUMN source_etag text,
    ADD COLUMN fetched bigint NOT NULL DEFAULT 0,
    ADD COLUMN fetch_attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN fetch_after timestamptz NOT NULL DEFAULT now();

CREATE INDEX files_to_fetch ON files (fetch_after) WHERE source IS NOT NULL AND size IS NULL;
CREATE INDEX files_sha256 ON files (sha256) WHERE sha256 IS NOT NULL;

-- What is done where an item of the same originals is there, and the items found.
ALTER TABLE uploads
    ADD COLUMN on_duplicate text NOT NULL DEFAULT 'share'
        CHECK (on_duplicate IN ('share', 'refuse')),
    ADD COLUMN duplicate_of text[] NOT NULL DEFAULT '{}';
