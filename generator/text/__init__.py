"""From tokens to text that ends with a sentence."""
