"""The inference service: processes over stored cubes, as jobs over leased blocks."""
