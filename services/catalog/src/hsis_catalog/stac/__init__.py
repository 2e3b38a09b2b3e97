"""STAC documents and queries: checked when they come in, linked when they go out."""
