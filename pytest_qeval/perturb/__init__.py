"""How the question is perturbed: the same problem asked otherwise, so that brittleness can be measured."""
