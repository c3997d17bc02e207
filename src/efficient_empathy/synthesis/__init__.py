"""New dialogues: planned by what the data lacks, generated, filtered, thinned for diversity, with their provenance."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.synthesis.settings import SynthesisSettings
    from efficient_empathy.synthesis.stage import plan_synthesis, synthesize

__all__ = ["SynthesisSettings", "plan_synthesis", "synthesize"]

__getattr__ = exports(__name__, {"SynthesisSettings": "settings", "plan_synthesis": "stage", "synthesize": "stage"})
