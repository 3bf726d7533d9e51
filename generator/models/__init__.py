"""Model families the engine can tell with, and how a folder becomes one of them."""
