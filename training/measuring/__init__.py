"""What a model is worth on texts that it has not seen."""
