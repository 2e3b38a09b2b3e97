"""HSIS: hyperspectral image storage. Contracts, typed clients, stored cubes, command line."""

__version__ = "0.1.0"
