-- What is said of every cube of a collection that neither its files nor its uploader say.
CREATE TABLE templates (
    collection_id text COLLATE "C" PRIMARY KEY REFERENCES collections (id) ON DELETE CASCADE,
    document jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
