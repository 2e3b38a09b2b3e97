"""The catalog service: STAC, users, tokens, permissions and the spectral library."""
