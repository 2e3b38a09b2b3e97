-- Of an upload that a tus client made by creating a file: whose it is, the name of its group of
-- files where they came one by one, and whether its item was named or is called after a file.
ALTER TABLE uploads
    ADD COLUMN owner text,
    ADD COLUMN group_name text,
    ADD COLUMN named boolean NOT NULL DEFAULT true;

CREATE INDEX uploads_group ON uploads (owner, collection, group_name) WHERE group_name IS NOT NULL;

-- A file of which `size` is known is stored; its `sha256` may be computed later.

CREATE TABLE transfers (
    id uuid PRIMARY KEY,
    -- Subject of the token that made it; nobody else may see it.
    owner text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('file', 'partial', 'final')),
    state text NOT NULL DEFAULT 'receiving' CHECK (state IN ('receiving', 'done', 'discarded')),
    upload uuid REFERENCES uploads ON DELETE CASCADE,
    file text,
    -- Where its bytes come to lie.
    key text NOT NULL,
    length bigint,
    received bigint NOT NULL DEFAULT 0,
    -- The upload in parts at storage-proxy, and what is not yet enough for one: the last
    -- `received` less the parts' bytes.
    parts_upload text,
    tail text,
    -- As the client gave them, for HEAD.
    metadata text,
    concat text,
    lease_token uuid,
    lease_until timestamptz,
    -- Another request waits for the lease.
    asked boolean NOT NULL DEFAULT false,
    -- Something may be stored for it that is to be removed.
    purge boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX transfers_file ON transfers (upload, file) WHERE state <> 'discarded';
CREATE INDEX transfers_expiry ON transfers (expires_at);
CREATE INDEX transfers_purge ON transfers (created_at) WHERE purge;

CREATE TABLE transfer_parts (
    transfer uuid NOT NULL REFERENCES transfers ON DELETE CASCADE,
    number integer NOT NULL,
    size bigint NOT NULL,
    etag text NOT NULL,
    PRIMARY KEY (transfer, number)
);
