"""Other engines, each loaded from the same folder and told to do the same work."""
