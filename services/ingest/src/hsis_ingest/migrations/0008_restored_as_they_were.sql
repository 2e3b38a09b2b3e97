-- What a collection's template said of the cube when it was converted: the same counts where the
-- item is made again.
ALTER TABLE uploads ADD COLUMN template jsonb;

-- Of an upload that makes an item of the trash again: the item that it was, and the prefixes beside
-- its original files that this item still needs, such as those of its label maps.
ALTER TABLE uploads
    ADD COLUMN restored jsonb,
    ADD COLUMN kept_prefixes text[] NOT NULL DEFAULT '{}';

-- Which of the uploads on their way stores originals that others have too: `digest` is the SHA-256
-- of the SHA-256s of the files, in their order.
CREATE TABLE claimed_originals (
    collection text NOT NULL,
    digest text NOT NULL,
    upload uuid NOT NULL REFERENCES uploads ON DELETE CASCADE,
    PRIMARY KEY (collection, digest)
);
CREATE INDEX claimed_originals_upload ON claimed_originals (upload);
