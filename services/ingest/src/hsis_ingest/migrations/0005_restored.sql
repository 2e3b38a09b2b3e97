-- An upload that makes an item again of the original files of another one, which an entry of the
-- trash keeps: the upload that they came with, and the entry.
ALTER TABLE uploads
    ADD COLUMN originals uuid,
    ADD COLUMN trash_entry uuid;

CREATE INDEX uploads_originals ON uploads (originals) WHERE originals IS NOT NULL;
