"""What a model costs, in memory and energy, and how far its output distribution is from the baseline's."""
