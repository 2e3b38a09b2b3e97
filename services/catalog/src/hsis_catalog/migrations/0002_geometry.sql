-- The geometry beside the document, so that a search by geometry reads no more of an item than that.
ALTER TABLE items ADD COLUMN geometry jsonb GENERATED ALWAYS AS (summary -> 'geometry') STORED;
