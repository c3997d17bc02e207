"""From experts to one standard mixture, its routers trained, and the comparison that says if it was worth it.

Composing needs no torch; it is imported when routers are trained and models are measured.
"""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.modelling.moe.settings import MixSettings, load_settings
    from efficient_empathy.modelling.moe.stage import mix, summary

__all__ = [
    "MixSettings",
    "load_settings",
    "mix",
    "summary",
]

__getattr__ = exports(
    __name__,
    {
        "MixSettings": "settings",
        "load_settings": "settings",
        "mix": "stage",
        "summary": "stage",
    },
)
