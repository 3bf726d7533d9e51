"""What may be asked, and what may be shown."""
