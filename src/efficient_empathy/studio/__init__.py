"""The studio: a local web application on one or more runs, for looking, choosing thresholds and rating blind."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.studio.server.app import make_app

__all__ = ["make_app"]

__getattr__ = exports(__name__, {"make_app": "server.app"})
