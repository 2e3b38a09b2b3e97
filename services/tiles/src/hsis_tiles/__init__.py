"""The tiles service: spectra, pictures, statistics and exports of stored cubes. No state."""
