"""Perturbations: change a problem's prompt and keep its task, so that robustness can be measured."""
