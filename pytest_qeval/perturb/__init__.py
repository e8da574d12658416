"""How the question is disturbed: the same problem asked otherwise, so that brittleness can be measured."""
