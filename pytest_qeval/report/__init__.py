"""Reports: one summary, rendered in several forms."""
