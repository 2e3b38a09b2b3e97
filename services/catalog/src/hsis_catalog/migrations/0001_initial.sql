CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    is_admin boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name text NOT NULL,
    scopes text[] NOT NULL,
    collections text[],
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX api_keys_by_user ON api_keys (user_id);

CREATE TABLE collections (
    id text COLLATE "C" PRIMARY KEY,
    document jsonb NOT NULL,
    public boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE grants (
    collection_id text COLLATE "C" NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('viewer', 'editor', 'owner')),
    PRIMARY KEY (collection_id, user_id)
);
CREATE INDEX grants_by_user ON grants (user_id);

-- `summary` is the document without the bands of its assets, for lists. `footprint` is the bbox in
-- degrees, its east edge beyond 180 where it crosses the antimeridian; NULL for a cube without place.
CREATE TABLE items (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    collection_id text COLLATE "C" NOT NULL REFERENCES collections (id),
    id text COLLATE "C" NOT NULL,
    document jsonb NOT NULL,
    summary jsonb NOT NULL,
    footprint box,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    PRIMARY KEY (collection_id, id),
    CHECK (starts_at <= ends_at)
);
CREATE INDEX items_by_footprint ON items USING gist (footprint);
CREATE INDEX items_newest_first ON items (starts_at DESC, seq DESC);
CREATE INDEX items_newest_first_by_collection ON items (collection_id, starts_at DESC, seq DESC);
CREATE INDEX items_by_end ON items (ends_at);

-- Items that are gone from the catalog and whose stored objects ingest is still to remove.
CREATE TABLE removed_items (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection text NOT NULL,
    item text NOT NULL,
    raw_prefixes text[] NOT NULL,
    removed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE spectra (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    collection_id text COLLATE "C" NOT NULL REFERENCES collections (id),
    name text NOT NULL,
    values double precision[] NOT NULL,
    wavelengths_nm double precision[],
    unit text,
    source text,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (collection_id, name)
);
