"""CRUXEval (Gu et al., 2024, arXiv:2401.03065): predict the output of a program, or an input of it."""
