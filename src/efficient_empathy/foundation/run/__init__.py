"""A run's folder: where each artifact lies, what went into it, and how it is written and read."""
