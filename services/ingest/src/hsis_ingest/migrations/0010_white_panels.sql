-- What the white reference of a raw scene reflects: a number, or the name of a file of the upload that
-- tells it by wavelength.
ALTER TABLE uploads ADD COLUMN white_reflectance text;
