"""Perturbations of the prose in a docstring."""
