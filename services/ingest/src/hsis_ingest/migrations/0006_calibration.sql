-- What is computed of the files while they are stored: `none`, or `reflectance` of a raw scene.
ALTER TABLE uploads ADD COLUMN calibration text NOT NULL DEFAULT 'none';
