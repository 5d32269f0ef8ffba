"""Figures for docs/benchmarks.md: `make bench`."""
