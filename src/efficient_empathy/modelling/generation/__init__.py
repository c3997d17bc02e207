"""Responses of any model, local or behind an endpoint, to the contexts of a run or of a file."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.modelling.generation.backends import Generator, Reply
    from efficient_empathy.modelling.generation.settings import EndpointOptions, GenerationSettings
    from efficient_empathy.modelling.generation.stage import generate, summary

__all__ = ["EndpointOptions", "GenerationSettings", "Generator", "Reply", "generate", "summary"]

__getattr__ = exports(
    __name__,
    {
        "Generator": "backends",
        "Reply": "backends",
        "EndpointOptions": "settings",
        "GenerationSettings": "settings",
        "generate": "stage",
        "summary": "stage",
    },
)
