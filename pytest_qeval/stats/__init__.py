"""What may be concluded: pure functions whose docstrings are formulas with their source."""
