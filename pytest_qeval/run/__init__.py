"""Run one recipe after the other in one process."""
