"""The worker: an OpenAI-compatible completions server. Knows nothing of Discord."""
