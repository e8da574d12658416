"""Make the files that perturbations with models of their own read."""
