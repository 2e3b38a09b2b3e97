-- Label maps count too: those of the items that are there.
INSERT INTO stored_sizes (path, collection, prefix, bytes)
SELECT DISTINCT ON (found.path)
    found.path, found.collection_id, substring(found.path FROM '^[^/]+/[^/]+/[^/]+/'), found.bytes
FROM (
    SELECT collection_id,
        substring(value ->> 'href' FROM '^/blobs/((?:raw|cubes)/[^/]+/[^/]+/.+)$') AS path,
        (value ->> 'file:size')::bigint AS bytes
    FROM (SELECT collection_id, document FROM items
          UNION ALL SELECT collection_id, document FROM trash) AS stored,
        jsonb_each(document -> 'assets') AS asset (name, value)
    WHERE name LIKE 'labels-%' AND value ->> 'file:size' ~ '^[0-9]{1,15}$'
) AS found
WHERE split_part(found.path, '/', 2) = found.collection_id
ON CONFLICT DO NOTHING;
