"""What it costs: time, memory, energy, and how far the output distribution moved."""
