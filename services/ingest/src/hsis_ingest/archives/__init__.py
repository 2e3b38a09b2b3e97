"""Archives of several files: zip, tar and tar.gz, read by ranges and in bounded memory."""
