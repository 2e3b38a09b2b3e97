-- What the uploader says of the cube (CubeMetadata as JSON).
ALTER TABLE uploads ADD COLUMN metadata jsonb;

-- Changes of the metadata of stored items. One that is not applied is in progress, or waits for a
-- part of the platform that is away; it is applied again from its beginning.
CREATE TABLE corrections (
    id uuid PRIMARY KEY,
    collection text NOT NULL,
    item text NOT NULL,
    -- When the item was made: another item may come to have its id.
    item_created text NOT NULL,
    by_subject text NOT NULL,
    by_name text NOT NULL,
    changes jsonb NOT NULL,
    before jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    applied_at timestamptz
);

CREATE INDEX corrections_item ON corrections (collection, item, created_at DESC);
CREATE INDEX corrections_open ON corrections (created_at) WHERE applied_at IS NULL;
