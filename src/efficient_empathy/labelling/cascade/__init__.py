"""A distilled judge answers where it is sure, further steps and an expert the rest, with a guarantee."""
