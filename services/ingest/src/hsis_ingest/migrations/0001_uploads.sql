CREATE TABLE uploads (
    id uuid PRIMARY KEY,
    collection text NOT NULL,
    item text NOT NULL,
    axes text,
    variable text,
    rows integer,
    columns integer,
    state text NOT NULL DEFAULT 'receiving'
        CHECK (state IN ('receiving', 'queued', 'converting', 'succeeded', 'failed')),
    progress double precision NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    run_after timestamptz NOT NULL DEFAULT now(),
    lease_token uuid,
    lease_until timestamptz,
    error jsonb,
    -- Of a failed upload: what is stored for it is still to be removed.
    purge boolean NOT NULL DEFAULT false,
    -- Given up by its user: the row goes too once everything stored is removed.
    discarded boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz
);

CREATE UNIQUE INDEX uploads_active_item ON uploads (collection, item)
    WHERE state IN ('receiving', 'queued', 'converting');
CREATE INDEX uploads_queue ON uploads (created_at) WHERE state IN ('queued', 'converting');
CREATE INDEX uploads_newest ON uploads (collection, created_at DESC);

CREATE TABLE files (
    upload uuid NOT NULL REFERENCES uploads ON DELETE CASCADE,
    position integer NOT NULL,
    name text NOT NULL,
    declared_size bigint,
    size bigint,
    sha256 text,
    -- One request at a time sends a file; it renews this lease while bytes arrive.
    receive_token uuid,
    receive_until timestamptz,
    PRIMARY KEY (upload, name)
);
