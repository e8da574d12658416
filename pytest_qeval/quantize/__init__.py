"""What is done to the model: recipes, and their arithmetic."""
