"""GGUF files run by llama.cpp itself: a `llama-server` that is started, asked and stopped."""
