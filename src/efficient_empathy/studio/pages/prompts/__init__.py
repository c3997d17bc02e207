"""The page of rubrics: which there are, where each was used, and copies to edit."""
