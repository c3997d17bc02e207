"""The settings of `synthesize`: how many samples are made, by what, and what they must come through."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.guard import Reads
from efficient_empathy.foundation.settings import Flag, Settings
from efficient_empathy.modelling.generation.settings import GenerationSettings
from efficient_empathy.synthesis.dimensions import read_targets
from efficient_empathy.synthesis.diversity.record import Method
from efficient_empathy.synthesis.filters.settings import FilterSettings
from efficient_empathy.synthesis.generators import GENERATORS
from efficient_empathy.synthesis.proof.settings import ProofSettings

MOST_ROUNDS = 20


class MakingSettings(Settings):
    """How many synthetic samples are made, by which generators, and how many of them are kept."""

    samples: int = Field(default=100, ge=1)
    """How many synthetic samples the run is to have in the end."""
    by: Annotated[tuple[str, ...], Flag(metavar="NAME[:CUT,CUT]", repeats=True)] = ("category",)
    """What a cell has in common besides its subset: category, turn, response_words, topic, an axis of the rubric, …;
    numbers are cut into three bands, or where NAME:CUT,CUT says."""
    targets: Annotated[tuple[str, ...], Flag("--target", metavar="NAME=VALUE:SHARE", repeats=True)] = ()
    """The share that a value is to have of what is trained on, such as subset=rationality:0.5 or category=angry:0.1;
    without any all are to have the same."""
    generators: tuple[str, ...] = ("rewrite",)
    """What makes them, by turns: rewrite (a real sample becomes a new dialogue), answer (another response to a real
    context, in the manner of a subset), situation (a dialogue from a category and a persona), roles (the same, played
    line by line by two models or one), repair (a discarded response made better)."""
    speaker: Annotated[str | None, Reads()] = None
    """roles: who plays the speaker, written as the model that plays the listener, and at the same endpoint if that has
    one; by default that model plays both."""
    prompts: Annotated[dict[str, Path], Flag("--prompt", metavar="GENERATOR=FILE")] = Field(default_factory=dict)
    """A generator's prompt, in place of its own."""
    rounds: Annotated[str, Flag(metavar="N or N-N")] = "3-5"
    """Rounds of a new dialogue, a line of the speaker's and one of the listener's each; drawn from a range."""
    examples: int = Field(default=2, ge=1, le=20)
    """answer: responses that show the manner of a subset."""
    test_files: Annotated[tuple[str, ...], Reads(), Flag("--test-file", metavar="FILE", repeats=True)] = ()
    """Test data that no synthetic sample may repeat, besides the run's own test split."""
    discriminator: Annotated[str | None, Reads()] = None
    """A model that was fine-tuned on real data, such as an expert of the run: it responds to the same contexts, and
    samples whose response is unlike its own are left out."""
    likeness: float = Field(default=10.0, ge=0, le=100)
    """discriminator: the least likeness of the two responses (cosine of their embeddings, ×100)."""
    judged: bool = True
    """Keep only what the run's own judge and policy put into one of the subsets that are selected."""
    least: Annotated[dict[str, float], Flag(metavar="AXIS=SCORE")] = Field(default_factory=dict)
    """The lowest score that is kept on an axis, whatever the policy says, such as safety=4."""
    diversity: float = Field(default=0.9, gt=0, le=1)
    """The share of what has come through that is kept for its diversity."""
    thinning: Method = "k_center"
    """How these are found: k_center keeps what differs from the rest, facility_location what stands for many."""
    pilot: int = Field(default=32, ge=1)
    """So many are asked for first, to see how many come through."""
    max_requests: int | None = Field(default=None, ge=1)
    """Requests to the generating model in all; 20 for each sample by default."""
    seed: int = Field(default=0, ge=0)
    """Draws seeds, personas and rounds."""
    temperature: float = Field(default=0.9, ge=0)
    """Of the generating model's sampling."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Only the most probable tokens that together have this probability are drawn from."""
    max_new_tokens: int = Field(default=512, ge=1)
    """The longest reply of the generating model."""

    @field_validator("rounds", mode="before")
    @classmethod
    def _read_rounds(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _allowed(self) -> MakingSettings:
        try:
            low, high = self.rounds_range
        except ValueError:
            raise ValueError(f"rounds is a number or a range such as 3-5, not {self.rounds!r}") from None
        if not 1 <= low <= high <= MOST_ROUNDS:
            raise ValueError(f"rounds {self.rounds}: from 1 to {MOST_ROUNDS}, the lower number first")
        read_targets(self.targets)
        if self.least and not self.judged:
            raise ValueError(f"least: nothing is known of {next(iter(self.least))} where nothing is judged")
        if not self.generators:
            raise ValueError("generators: name at least one")
        for name in (*self.generators, *self.prompts):
            try:
                GENERATORS.require(name)
            except UserError as error:
                raise ValueError(str(error)) from error
        if self.speaker is not None and "roles" not in self.generators:
            raise ValueError("speaker: only the generator roles has one play the speaker")
        if unused := [name for name in self.prompts if name not in self.generators]:
            raise ValueError(f"a prompt for {unused[0]} is given, which is none of the generators")
        return self

    @property
    def rounds_range(self) -> tuple[int, int]:
        """The fewest and the most rounds of a new dialogue."""
        low, _, high = self.rounds.partition("-")
        return int(low), int(high or low)

    @property
    def most_requests(self) -> int:
        """Requests in all."""
        return self.max_requests or 20 * self.samples

    @property
    def generation(self) -> GenerationSettings:
        """How the generating model decodes."""
        return GenerationSettings(
            temperature=self.temperature, top_p=self.top_p, max_new_tokens=self.max_new_tokens, seed=self.seed
        )


class SynthesisSettings(FilterSettings, MakingSettings, ProofSettings):
    """How many synthetic samples are made, by which generators, what they must come through, and how that is proved."""

    @property
    def without_proof(self) -> SynthesisSettings:
        """What the samples depend on: all but the settings of the proof, which have their defaults."""
        return self.model_copy(update=ProofSettings().model_dump())
