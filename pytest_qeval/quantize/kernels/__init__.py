"""Round weights and activations, and compute with the result."""
