"""Golden sets: items with expected scores."""
