"""Statistics that any room may use: agreement, resampling, corrections, rankings. numpy and scipy alone."""
