"""Candidates of synthetic samples, as generators make them, from texts alone."""

from collections.abc import Sequence
from pathlib import Path

from efficient_empathy.dialogues import Sample, Utterance, read
from efficient_empathy.synthesis.candidate import Candidate
from efficient_empathy.synthesis.filters import FilterContext, FilterSettings, build_filters, run_filters

BUNDLED = Path(__file__).parents[1] / "src" / "efficient_empathy" / "assets" / "dialogues"


def bundled(split: str) -> list[Sample]:
    """The samples of a split of the bundled dialogues."""
    return [Sample.from_row(row) for row in read(BUNDLED / f"{split}.jsonl").iter_rows(named=True)]


def sample(*texts: str, **facts: str) -> Sample:
    """The turns of the context, speaker first, then the response."""
    *context, response = texts
    roles = ("speaker", "listener")
    return Sample.of([Utterance(roles[i % 2], text) for i, text in enumerate(context)], response, **facts)


def candidate(*texts: str, seed: Sample | None = None, generator: str = "rewrite", fault: str = "") -> Candidate:
    """One whose reply was read as these turns; without any it could not be read."""
    return Candidate(generator, seed, "\n".join(texts), sample(*texts) if texts else None, fault)


def verdicts(name: str, candidates: Sequence[Candidate], context: FilterContext | None = None, **options):
    """The reason, and the figure, of the one filter for each candidate."""
    settings = FilterSettings(filters=tuple(dict.fromkeys(("format", name))), **options)
    filters = build_filters(settings, context or FilterContext())
    result = run_filters(candidates, filters[-1:])
    return list(zip(result.reasons, result.figures[name], strict=True))


def reasons(name: str, candidates: Sequence[Candidate], context: FilterContext | None = None, **options) -> list[str]:
    return [reason for reason, _ in verdicts(name, candidates, context, **options)]
