"""Talk to pytest: one module per hook object or command."""
