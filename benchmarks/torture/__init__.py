"""Kill grids: every stage and the studio killed for good at thousands of moments, run again, and held against a run
that nothing disturbed."""
