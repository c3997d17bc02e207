"""Filters of synthetic samples: each says of a candidate whether it stays, why not, and by which figure."""
