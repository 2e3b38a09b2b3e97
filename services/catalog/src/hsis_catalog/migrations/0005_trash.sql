-- Removed items that can still be restored. `stored_prefixes` are those that the entry still needs:
-- the one of its cube is taken out once another item's cube lies there.
CREATE TABLE trash (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    collection_id text COLLATE "C" NOT NULL REFERENCES collections (id),
    item text COLLATE "C" NOT NULL,
    document jsonb NOT NULL,
    stored_prefixes text[] NOT NULL,
    deleted_by text NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX trash_newest_first ON trash (collection_id, deleted_at DESC, id DESC);
CREATE INDEX trash_by_stored_prefix ON trash USING gin (stored_prefixes);
CREATE INDEX trash_by_end ON trash (expires_at);

-- Whether what lies under cubes/<collection>/<item>/ goes with the entry.
ALTER TABLE removed_items ADD COLUMN cube boolean NOT NULL DEFAULT true;
