"""Readers of cubes: array code on byte ranges that knows no HTTP, SQL or object store."""
