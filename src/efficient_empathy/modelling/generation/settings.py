"""The settings of `generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue
from pydantic.dataclasses import dataclass

from efficient_empathy.foundation.guard import Needs, Reads
from efficient_empathy.foundation.settings import SETTINGS, Flag, Settings
from efficient_empathy.llm.settings import ExtraBody, HeaderVariables

Part = Literal["test", "held_out", "all"]
BackendName = Literal["auto", "transformers", "vllm"]


class GenerationSettings(Settings):
    """How responses are made. Greedy by default, as in the paper."""

    template: Annotated[str | None, Reads()] = None
    """The prompt template, a bundled name or a file; by default the one that the model was trained with, else chat."""
    part: Part | None = None
    """Which samples are answered: test (held_out where the data has no test split), held_out, all; by default test in a
    run, all of a source."""
    samples: int | None = Field(default=None, ge=1)
    """How many of them at most, drawn by their ids, so that a smaller number is part of a larger one."""
    max_new_tokens: int = Field(default=128, ge=1)
    """The longest response; the paper allows 512, its data has 15 to 25 tokens a response."""
    temperature: float = Field(default=0.0, ge=0)
    """Of sampling; 0 takes the most probable token each time."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """With a temperature: only the most probable tokens that together have this probability."""
    repetition_penalty: float = Field(default=1.0, ge=1, le=2)
    """local: above 1, words that stand in the prompt or the reply already are less likely to come again, so that small
    models do not go in circles; 1.1 is usual."""
    seed: int = Field(default=0, ge=0)
    """With a temperature: of the draws. Each prompt has draws of its own, whatever is generated beside it."""
    batch_size: int = Field(default=128, ge=1)
    """local: prompts in one batch at most."""
    batch_tokens: int = Field(default=65536, ge=1)
    """local: prompts in one batch × (longest prompt + max_new_tokens) at most, which the key-value cache has room
    for."""
    backend: BackendName = "auto"
    """local: what runs the model; auto is vLLM where it is installed and there is a GPU for it, else transformers."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """local: the type of numbers; auto is bf16 on a GPU, fp32 elsewhere."""
    allow_pickle: Annotated[bool, Needs("pickle")] = False
    """local: load a model whose weights are pickled, which can run code of whoever made them."""
    trust_remote_code: Annotated[bool, Needs("code")] = False
    """local: run code that comes with a model."""

    @property
    def decoding(self) -> dict[str, JsonValue]:
        """What decides on a response besides model and prompt."""
        greedy: dict[str, JsonValue] = {"max_new_tokens": self.max_new_tokens, "temperature": self.temperature}
        if self.repetition_penalty != 1:
            greedy["repetition_penalty"] = self.repetition_penalty
        return greedy | ({"top_p": self.top_p, "seed": self.seed} if self.temperature else {})


@dataclass(frozen=True, config=SETTINGS)
class EndpointOptions:
    """How a model behind an API is reached."""

    base_url: str
    """The endpoint, such as http://localhost:8000/v1."""
    wire: str = "openai"
    """endpoint: the format that it speaks: openai (most servers), anthropic, or that of an installed package."""
    api_key_env: str | None = None
    """endpoint: the environment variable that holds the key; OPENAI_API_KEY or ANTHROPIC_API_KEY by default."""
    headers: HeaderVariables = Field(default_factory=dict)
    """endpoint: a header of every request, its value from an environment variable, as in api-key=AZURE_API_KEY."""
    extra_body: ExtraBody = Field(default_factory=dict)
    """endpoint: further fields of every request, a JSON object such as {"reasoning_effort": "low"}."""
    concurrency: int = Field(default=64, ge=1)
    """endpoint: requests in flight at most."""
    timeout_s: Annotated[float, Flag("--timeout")] = Field(default=120.0, gt=0)
    """endpoint: seconds for one request."""
    max_attempts: int = Field(default=5, ge=1)
    """endpoint: tries per request, not counting 429s."""
    max_cost: float | None = Field(default=None, ge=0)
    """endpoint: US dollars that this model's responses may come to in all, earlier calls included; a bill above what
    its request can cost ends the run."""
    prices: Path | None = None
    """endpoint: a prices file instead of the package's own."""
