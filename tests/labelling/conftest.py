"""Fixtures of this folder."""

from predicted_runs import predicted  # noqa: F401
