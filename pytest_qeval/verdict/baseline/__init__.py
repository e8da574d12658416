"""Save, find and reuse a baseline."""
