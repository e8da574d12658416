"""Read and write quantized checkpoints."""
