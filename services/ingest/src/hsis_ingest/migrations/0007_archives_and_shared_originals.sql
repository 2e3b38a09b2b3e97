-- A file whose bytes lie under another name, since they are those of an earlier upload (`originals`).
ALTER TABLE files ADD COLUMN stored_as text;

-- Of an archive: its scenes are uploads of their own, which have it as `parent`. It makes no item
-- itself, so one of its scenes may make the item that it is called after.
ALTER TABLE uploads
    ADD COLUMN parent uuid REFERENCES uploads ON DELETE SET NULL,
    ADD COLUMN unpacked boolean NOT NULL DEFAULT false;

CREATE INDEX uploads_parent ON uploads (parent) WHERE parent IS NOT NULL;
DROP INDEX uploads_active_item;
CREATE UNIQUE INDEX uploads_active_item ON uploads (collection, item)
    WHERE state IN ('receiving', 'queued', 'converting') AND NOT unpacked;
