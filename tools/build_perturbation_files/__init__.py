"""Make the files of perturbations that need a model."""
