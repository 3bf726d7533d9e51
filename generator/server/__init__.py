"""HTTP: OpenAI's completions API over the engine."""
