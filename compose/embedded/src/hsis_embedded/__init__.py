"""The embedded default: database, object store, services and edge as processes of one machine."""
