"""Two prompts of one generator side by side: the same samples are asked for by both, and what comes through is told."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from efficient_empathy.foundation.console import Console
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.facts import WORD
from efficient_empathy.foundation.run.record import Estimate, Part
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.statistics.measured import Floats, Sums
from efficient_empathy.foundation.statistics.resampling import paired_difference
from efficient_empathy.llm.runner import SessionEnding
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.synthesis.asking import ReplyStore, request_id
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.embeddings import Embedder
from efficient_empathy.synthesis.record import PromptRecord, StepRecord
from efficient_empathy.synthesis.settings import SynthesisSettings
from efficient_empathy.synthesis.sifting import Sifted, sift
from efficient_empathy.synthesis.work import Work


class TrialSide(Part):
    """What came of one prompt."""

    prompt: PromptRecord
    answered: int
    steps: tuple[StepRecord, ...]
    passed: int
    """Those that came through every step."""
    scores: dict[str, float]
    """The mean of each axis, of those that the judge saw."""
    words: float | None
    """The mean length of a response that came through."""
    example: str
    """One that came through, context and response; empty where none did."""


class Trial(Part):
    """Two prompts, put to one model for the same samples."""

    model: str
    generator: str
    requests: int
    """Samples that each was asked for."""
    a: TrialSide
    b: TrialSide
    both: int
    """Samples that both brought through."""
    difference: Estimate
    """The share that came through by B, less that by A: of those asked for, with a 95 % interval over the dialogues of
    the seeds."""
    p_value: float
    """Two-sided, of no difference."""
    cost_usd: float
    ending: SessionEnding


def compare_generation_prompts(
    workspace: Workspace,
    model: str,
    a: str,
    b: str,
    settings: SynthesisSettings | None = None,
    *,
    endpoint: EndpointOptions | None = None,
    console: Console | None = None,
) -> Trial:
    """Have the model make the first `settings.pilot` samples of a plan by prompt `a` and by prompt `b`.

    A prompt is a file, or the name of its generator for the generator's own. `settings.generators` names the one
    generator. Filters and the run's judge see both; nothing of the run changes but its folder of trials and its ledger,
    and nothing is asked for twice.

    Raises `UserError` as `synthesize` does, for more than one generator, and for two prompts that are the same.
    """
    console, settings = console or Console(stderr=True), settings or SynthesisSettings()
    if len(settings.generators) > 1:
        raise UserError("prompts are compared of one generator: name it by --generators")
    with workspace.lock(lambda: console.print(f"Another process is working on {workspace.root}; waiting for it.")):
        works = [_prepare(workspace, model, one, settings, endpoint) for one in (a, b)]
        if works[0].prompts == works[1].prompts:
            raise UserError(f"{a} and {b} are the same prompt (hash {works[0].prompts[0].hash})")
        sides = [_Side(work, console) for work in works]
    return _trial(sides, model, settings.generators[0])


def _prepare(
    workspace: Workspace, model: str, prompt: str, settings: SynthesisSettings, endpoint: EndpointOptions | None
) -> Work:
    generator = settings.generators[0]
    prompts = {} if prompt == generator else {generator: Path(prompt)}
    return Work.prepare(workspace, model, settings.model_copy(update={"prompts": prompts}), endpoint)


class _Side:
    """One prompt's candidates, by request, and what they came through."""

    def __init__(self, work: Work, console: Console) -> None:
        self.work, generators = work, work.requests.generators
        requests = list(islice(work.requests, work.settings.pilot))
        named = {request_id(one, generators[one.generator]): one for one in requests}
        store = ReplyStore(work.workspace.synthesis / "trials" / f"{work.prompts[0].hash}.jsonl", work.key, work.cast)
        self.ending = store.ask(named, generators, console)
        self.candidates: list[Candidate] = [
            store.candidate(one, name, generators[one.generator], work.plan)
            for name, one in named.items()
            if store.is_answered(name, one, generators[one.generator])
        ]
        self.cost_usd = store.replies.cost_usd
        names = list(named)
        self.places = [names.index(one.request) for one in self.candidates]
        self.dialogues = [one.seed.dialogue_id if one.seed else name for name, one in named.items()]
        self.sifted: Sifted = sift(self.candidates, work.filters(Embedder(), []), None, work.judge, console)
        self.passed = np.zeros(len(named))
        self.passed[[self.places[place] for place in self.sifted.places]] = 1

    @property
    def record(self) -> TrialSide:
        """What came of it."""
        through = [self.candidates[place].sample for place in self.sifted.places]
        samples = [one for one in through if one is not None]
        words = pl.Series([one.response for one in samples], dtype=pl.String).str.count_matches(WORD).mean()
        axes = self.work.judge.axes if self.work.judge else ()
        means = {axis: self.sifted.scores[axis].mean() for axis in axes if axis in self.sifted.scores.columns}
        lines = [f"{turn.role.capitalize()}: {turn.text}" for turn in samples[0].context] if samples else []
        return TrialSide(
            prompt=self.work.prompts[0],
            answered=len(self.candidates),
            steps=tuple(self.sifted.steps),
            passed=int(self.passed.sum()),
            scores={axis: round(float(mean), 4) for axis, mean in means.items() if isinstance(mean, float)},
            words=round(float(words), 2) if isinstance(words, float) else None,
            example="\n".join([*lines, f"Listener: {samples[0].response}"]) if samples else "",
        )


def _trial(sides: list[_Side], model: str, generator: str) -> Trial:
    a, b = sides
    sums = [Sums(np.column_stack((np.ones_like(one.passed), one.passed)), _share) for one in (b, a)]
    difference = paired_difference(sums[0], sums[1], a.dialogues)["share"]
    return Trial(
        model=model,
        generator=generator,
        requests=len(a.passed),
        a=a.record,
        b=b.record,
        both=int((a.passed * b.passed).sum()),
        difference=Estimate(value=difference.value, low=difference.low, high=difference.high),
        p_value=difference.p,
        cost_usd=round(a.cost_usd + b.cost_usd, 6),
        ending=next((one.ending for one in sides if one.ending != "complete"), "complete"),
    )


def _share(sums: Floats) -> Mapping[str, Floats]:
    return {"share": sums.T[1] / sums.T[0]}


def trial_text(trial: Trial) -> str:
    """A trial in words."""
    sides = (("A", trial.a), ("B", trial.b))
    lines = [f"{trial.requests:,} samples by {trial.generator}, asked of {trial.model} by both prompts:"]
    lines += [
        f"  {letter}  {side.prompt.name}, version {side.prompt.version}, hash {side.prompt.hash}"
        for letter, side in sides
    ]
    width = max(len(step.name) for step in trial.a.steps)
    lines.append(f"  {'passes':<{width}}  {'A':>8}  {'B':>8}")
    for one, other in zip(trial.a.steps, trial.b.steps, strict=True):
        lines.append(f"  {one.name.replace('_', ' '):<{width}}  {one.after:>8,}  {other.after:>8,}")
    for axis in trial.a.scores:
        values = [f"{side.scores[axis]:>8.2f}" if axis in side.scores else f"{'':>8}" for _, side in sides]
        lines.append(f"  {axis:<{width}}  {values[0]}  {values[1]}")
    words = [f"{'' if side.words is None else format(side.words, '.1f'):>8}" for _, side in sides]
    lines.append(f"  {'words':<{width}}  {words[0]}  {words[1]}")
    low, high = trial.difference.interval or (0.0, 0.0)
    better = "cannot be told apart" if low <= 0 <= high else f"{'B' if low > 0 else 'A'} brings more through"
    lines.append(
        f"Of all asked for {trial.a.passed / trial.requests:.0%} come through by A and "
        f"{trial.b.passed / trial.requests:.0%} by B: {trial.difference.value:+.0%} "
        f"({low:+.0%} to {high:+.0%}, p {trial.p_value:.3f}); {better}. {trial.both:,} samples by both."
    )
    for letter, side in sides:
        if side.example:
            lines += ["", f"{letter}, for instance:", *(f"  {line}" for line in side.example.splitlines())]
    if trial.cost_usd:
        lines += ["", f"${trial.cost_usd:.4f} for the generating model in all."]
    if trial.ending != "complete":
        lines += ["", "Not all is there yet: the same command goes on."]
    return "\n".join(lines)
