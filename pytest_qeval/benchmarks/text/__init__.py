"""Benchmarks that ask for a sentence about code."""
