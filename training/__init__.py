"""From a synopsis file to a model folder."""
