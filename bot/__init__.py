"""The Discord side: commands, queue, dispatcher, telling. Knows nothing of torch."""
