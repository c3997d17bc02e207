"""A distilled judge answers where it is sure, an expert the rest, with a guarantee."""
