"""The page Analytics."""
