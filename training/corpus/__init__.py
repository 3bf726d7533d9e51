"""From a synopsis file to batches of tokens."""
