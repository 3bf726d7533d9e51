"""What is fit to be asked for and shown."""
