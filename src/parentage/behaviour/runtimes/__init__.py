"""Models that are run here: GGUF files by llama.cpp, folders by transformers; both are extras."""
