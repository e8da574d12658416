"""Statistics: pure functions whose docstrings are formulas with their source."""
