"""The judge `openai`: a model behind any OpenAI-compatible endpoint."""

from __future__ import annotations

from typing import ClassVar

from efficient_empathy.scoring.judges.llm import LLMSettings


class OpenAISettings(LLMSettings):
    """A model of OpenAI, or of vLLM, llama.cpp, Ollama and the many servers that speak chat completions."""

    NAME: ClassVar[str] = "openai"
    WIRE: ClassVar[str] = "openai"
