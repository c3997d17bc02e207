"""New dialogues: planned by what the data lacks, generated, filtered, thinned for diversity, with their provenance."""
