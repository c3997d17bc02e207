"""People correct the machine: scores, subsets, tags and notes of theirs, kept beside a run."""
