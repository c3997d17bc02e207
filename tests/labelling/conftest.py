"""Fixtures of this folder."""

from guessed_runs import guessed  # noqa: F401
