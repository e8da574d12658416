"""Carry what was found out between processes and onto disk."""
