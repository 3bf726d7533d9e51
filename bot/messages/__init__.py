"""A story's message while it is written: its states, whose turn it is, how it looks."""
