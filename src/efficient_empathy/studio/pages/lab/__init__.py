"""The page Thresholds."""
