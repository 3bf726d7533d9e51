"""What members press under a message; one file for each family."""
