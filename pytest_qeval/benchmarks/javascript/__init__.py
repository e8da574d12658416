"""Benchmarks of JavaScript."""
