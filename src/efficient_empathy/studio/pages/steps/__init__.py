"""The page of steps: what a run has, what can be downloaded, what comes next, and the jobs that are at it."""
