"""Conclusions from records: pure functions and the values that they return."""
