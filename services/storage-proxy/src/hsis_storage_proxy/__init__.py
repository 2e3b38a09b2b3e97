"""storage-proxy: the one service that has the object store's credentials."""
