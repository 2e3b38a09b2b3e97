"""Figures for README and docs/benchmarks.md: each a ratio against a reference of the same run."""
