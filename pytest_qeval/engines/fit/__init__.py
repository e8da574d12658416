"""Predict how much memory a model needs under a recipe, from shapes alone; nothing here imports torch at once."""
