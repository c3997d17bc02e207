"""Live: a run that is being scored, as it happens."""

from efficient_empathy.studio.live.pages import routes

__all__ = ["routes"]
