"""Live: a run that is being scored, as it happens."""

from efficient_empathy.studio.pages.live.routes import routes

__all__ = ["routes"]
