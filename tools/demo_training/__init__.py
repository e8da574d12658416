"""Train the embedded model again, and make the problems of `micro`."""
