"""Other engines, each loaded from the same weights and told to do the same work."""
