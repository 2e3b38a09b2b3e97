-- Who is making an item that is not there yet: an upload's conversion, or a job.
CREATE TABLE reservations (
    collection text NOT NULL,
    item text NOT NULL,
    holder text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (collection, item)
);
