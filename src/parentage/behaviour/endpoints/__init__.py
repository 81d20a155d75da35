"""OpenAI-compatible endpoints: hosted APIs, and the servers of vLLM, llama.cpp, Ollama and transformers."""
