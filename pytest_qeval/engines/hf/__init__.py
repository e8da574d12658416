"""Run a Hugging Face model: load, quantize, decode, score."""
