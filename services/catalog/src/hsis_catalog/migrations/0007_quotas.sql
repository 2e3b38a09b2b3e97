-- How many bytes may be stored in a collection; no row is no limit.
CREATE TABLE quotas (
    collection text COLLATE "C" PRIMARY KEY REFERENCES collections (id) ON DELETE CASCADE,
    allowed_bytes bigint NOT NULL CHECK (allowed_bytes >= 0)
);

-- What is stored for items, by the path of their assets under /blobs/, until it is removed: what is
-- in the trash counts, and what several items share counts once.
CREATE TABLE stored_sizes (
    path text PRIMARY KEY,
    collection text COLLATE "C" NOT NULL,
    prefix text NOT NULL,
    bytes bigint NOT NULL
);
CREATE INDEX stored_sizes_by_collection ON stored_sizes (collection);
CREATE INDEX stored_sizes_by_prefix ON stored_sizes (prefix);

-- What an upload or a job (`holder`) is about to store.
CREATE TABLE reserved_bytes (
    holder text PRIMARY KEY,
    collection text COLLATE "C" NOT NULL,
    bytes bigint NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX reserved_bytes_by_collection ON reserved_bytes (collection);

-- The original files of the items that are there; their cubes count from their next conversion on.
INSERT INTO stored_sizes (path, collection, prefix, bytes)
SELECT DISTINCT ON (found.path)
    found.path, found.collection_id, substring(found.path FROM '^[^/]+/[^/]+/[^/]+/'), found.bytes
FROM (
    SELECT collection_id, substring(value ->> 'href' FROM '^/blobs/(raw/[^/]+/[^/]+/.+)$') AS path,
        (value ->> 'file:size')::bigint AS bytes
    FROM (SELECT collection_id, document FROM items
          UNION ALL SELECT collection_id, document FROM trash) AS stored,
        jsonb_each(document -> 'assets') AS asset (name, value)
    WHERE value ->> 'file:size' ~ '^[0-9]{1,15}$'
) AS found
WHERE split_part(found.path, '/', 2) = found.collection_id
ON CONFLICT DO NOTHING;
