-- Jobs and the blocks of the phase that each is in.

CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    process text NOT NULL,
    owner text NOT NULL,
    collection text NOT NULL,
    source_item text NOT NULL,
    result_item text NOT NULL,
    parameters jsonb NOT NULL,
    plan jsonb NOT NULL,
    -- The members of the source's STAC Item that the result's has too.
    source jsonb NOT NULL,
    phases text[] NOT NULL,
    phase integer NOT NULL DEFAULT 0,
    -- Blocks of a phase over the scene, of all phases together, and how many of these are done.
    block_count integer NOT NULL CHECK (block_count > 0),
    total_blocks integer NOT NULL,
    done_blocks integer NOT NULL DEFAULT 0,
    -- What the phase `reduce` made for the phase `map`.
    model bytea,
    devices text[] NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'accepted'
        CHECK (status IN ('accepted', 'running', 'successful', 'failed', 'dismissed')),
    error jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- Objects may lie under the result's prefix that belong to no item: no other job may write
    -- there, and they are removed when the job ends without a result.
    holds_prefix boolean NOT NULL DEFAULT true,
    sweep_token uuid,
    sweep_until timestamptz,
    -- Its user asked to forget it; the row goes when nothing is left to be removed.
    forgotten boolean NOT NULL DEFAULT false
);

CREATE UNIQUE INDEX jobs_one_writer ON jobs (collection, result_item) WHERE holds_prefix;
CREATE INDEX jobs_by_owner ON jobs (owner, created_at DESC);
CREATE INDEX jobs_by_collection ON jobs (collection, created_at DESC);
CREATE INDEX jobs_to_sweep ON jobs (finished_at)
    WHERE holds_prefix AND status IN ('failed', 'dismissed');

CREATE TABLE blocks (
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    phase integer NOT NULL,
    index integer NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done')),
    -- A lease is a token and an end. An end without a token is the earliest time of a retry.
    lease_token uuid,
    lease_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    error text,
    result bytea,
    worker text,
    PRIMARY KEY (job_id, phase, index)
);

CREATE INDEX blocks_open ON blocks (lease_until) WHERE state = 'open';
