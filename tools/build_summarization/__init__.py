"""Collect the problems of the benchmark `summarization`."""
