"""Quantizers of other packages."""
