"""Chat: the run's models, or an endpoint's, side by side."""

from efficient_empathy.studio.chat.pages import routes

__all__ = ["routes"]
