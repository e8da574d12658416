"""Train the embedded model, and make the problems of the benchmark `micro`."""
