"""Any OpenAI-compatible server as an engine: llama-server, vLLM, SGLang, Ollama, hosted interfaces."""
