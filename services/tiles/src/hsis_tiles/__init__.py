"""The tiles service: spectra, pictures and statistics of stored cubes, read by ranges. No state."""
