"""HTTP: /processing (OGC API Processes 1.0)."""
