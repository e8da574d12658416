"""Benchmarks: problems, prompts, stop strings, and the programs that completions become."""
