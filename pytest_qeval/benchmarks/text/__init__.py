"""Benchmarks whose completions are descriptions, which are scored and not executed."""
