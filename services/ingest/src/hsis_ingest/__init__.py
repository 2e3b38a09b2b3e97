"""Uploads, format readers and the conversion to stored cubes."""
