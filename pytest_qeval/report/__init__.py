"""How it is said: one summary, several forms."""
