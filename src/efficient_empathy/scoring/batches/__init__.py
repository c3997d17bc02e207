"""Scoring through a provider's batch API: half the price, answers within a day, taken up again by the same command."""
