"""The studio: a local web application on one or more runs, for looking, choosing thresholds and rating blind."""

from efficient_empathy.studio.server.app import make_app, serve

__all__ = ["make_app", "serve"]
