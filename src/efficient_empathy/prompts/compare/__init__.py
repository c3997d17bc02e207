"""Two prompts, judges or runs side by side."""
