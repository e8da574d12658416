"""Whether it may ship: gates, and what their evidence is worth."""
