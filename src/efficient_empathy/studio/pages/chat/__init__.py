"""Chat: the run's models, or an endpoint's, side by side."""

from efficient_empathy.studio.pages.chat.routes import routes

__all__ = ["routes"]
