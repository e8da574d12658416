"""Perturbations of code, its layout and its names."""
