"""Perturbations of code: its names, its syntax and its format."""
