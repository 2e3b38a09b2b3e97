-- Where an item's files lie in its own collection, as its assets say: raw/<collection>/<upload>/
-- and cubes/<collection>/<item>/. What an item uses is not removed.
ALTER TABLE items ADD COLUMN stored_prefixes text[] NOT NULL DEFAULT '{}';
UPDATE items SET stored_prefixes = ARRAY(
    SELECT DISTINCT prefix
    FROM jsonb_each(document -> 'assets') AS asset (name, value),
        substring(asset.value ->> 'href' FROM '^/blobs/((?:raw|cubes)/[^/]+/[^/]+/)') AS prefix
    WHERE split_part(prefix, '/', 2) = collection_id
);
ALTER TABLE removed_items RENAME COLUMN raw_prefixes TO prefixes;
CREATE INDEX items_by_stored_prefix ON items USING gin (stored_prefixes);
