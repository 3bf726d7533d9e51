"""The queue's other end: stories go to the completions server, words come back."""
