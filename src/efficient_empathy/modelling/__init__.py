"""From subsets to models: training, mixing, generation."""
