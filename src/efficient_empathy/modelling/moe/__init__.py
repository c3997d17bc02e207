"""From experts to one standard mixture, its routers trained, and the comparison that says if it was worth it.

Composing needs no torch; it is imported when routers are trained and models are measured.
"""

from efficient_empathy.modelling.moe.compose import average, compose
from efficient_empathy.modelling.moe.settings import MixSettings, load_settings
from efficient_empathy.modelling.moe.stage import mix, summary

__all__ = ["MixSettings", "average", "compose", "load_settings", "mix", "summary"]
