"""Sections of the page, each of which is None where its data are absent."""
