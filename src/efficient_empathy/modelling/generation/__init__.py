"""Responses of any model, local or behind an endpoint, to the contexts of a run or of a file."""

from efficient_empathy.modelling.generation.contract import Generator, Reply
from efficient_empathy.modelling.generation.settings import EndpointOptions, GenerationSettings
from efficient_empathy.modelling.generation.stage import generate
from efficient_empathy.modelling.generation.words import summary

__all__ = ["EndpointOptions", "GenerationSettings", "Generator", "Reply", "generate", "summary"]
