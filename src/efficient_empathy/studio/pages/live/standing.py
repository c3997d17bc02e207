"""Why a page has nothing to show of a run yet: what is happening to it, and what to do, in words and a link."""

from __future__ import annotations

from dataclasses import dataclass

from efficient_empathy.foundation.figures.formatting import count, plural
from efficient_empathy.foundation.run.parts import PartName
from efficient_empathy.foundation.run.table import RunTable
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring.progress import Counts
from efficient_empathy.studio.pages.live.control import ScoringState, scoring_state

_ENDED = {
    "stopped": "The scoring was stopped",
    "budget": "The budget ended the scoring",
    "waiting": "The judge's batches are still under way at the provider",
    "died": "The process that scored it is gone",
    "silent": "The process that scores it has said nothing for a while",
    "error": "The scoring ended with an error",
}
"""How scoring without scores has ended, by its condition."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a page says instead: a `title`, a `sentence`, and a link to the page of that name, which is called `action`.

    `done` of `total` samples are judged while a process is at it (`working`); `details` is the sentence for engineers.
    """

    title: str
    sentence: str
    action: str
    page: str
    details: str = ""
    working: bool = False
    done: int = 0
    total: int = 0


def standing(table: RunTable, *parts: PartName) -> Standing | None:
    """Why the first of these parts that is not current is not; None where all are."""
    part = next((part for part in parts if not table.part(part).current), None)
    if part is None:
        return None
    scoring = scoring_state(table.workspace)
    details = table.part(part).sentence
    if scoring.working and part != "selection":
        return _being_scored(scoring, details)
    if not table.samples.current:
        return Standing(
            "This run has no samples",
            "No dialogues have been read into it, or its file of samples cannot be read.",
            "To the runs", "", details,
        )  # fmt: skip
    if not table.scores.current:
        return _unscored(table, scoring, details)
    if table.selection.state == "missing":
        return Standing(
            "Nothing is selected yet",
            "Choose a policy and its thresholds, and let them split the samples into subsets.",
            "Choose thresholds", "lab", details,
        )  # fmt: skip
    return Standing(
        "The selection does not hold any more",
        "What it was made from has changed since, or its own files have: select again.",
        "Choose thresholds", "lab", details,
    )  # fmt: skip


def _being_scored(scoring: ScoringState, details: str) -> Standing:
    assert scoring.report is not None
    counts = scoring.report.counts
    return Standing(
        "This run is being scored",
        _progress_sentence(counts),
        "Watch it live", "live", details, working=True, done=counts.done, total=counts.total,
    )  # fmt: skip


def _progress_sentence(counts: Counts) -> str:
    done = f"{count(counts.done)} of {plural(counts.total, 'sample')} are done"
    return f"{done}. What hangs on the scores opens here by itself as soon as all are there."


def _unscored(table: RunTable, scoring: ScoringState, details: str) -> Standing:
    if table.scores.state == "stale":
        return Standing(
            "The scores do not belong to these samples",
            "Samples or scores were written anew, changed or damaged since: score the run again.",
            "See its scoring", "live", details,
        )  # fmt: skip
    if why := _ENDED.get(scoring.condition):
        report = scoring.report
        done = f" after {count(report.counts.done)} of {plural(report.counts.total, 'sample')}" if report else ""
        return Standing(
            "This run is not scored to the end",
            f"{why}{done}. What was judged is kept: going on asks only for what is missing.",
            "Go on with it", "live", details,
        )  # fmt: skip
    return Standing(
        "This run is not scored yet",
        f"It has {plural(table.count, 'sample')}, and no judge has scored them to the end.",
        "See its scoring", "live", details,
    )  # fmt: skip


def is_waited_for(workspace: Workspace) -> dict[str, object]:
    """Whether a process still scores the run, and how far it is; as `waiting.js` asks."""
    scoring = scoring_state(workspace)
    if not scoring.working or scoring.report is None:
        return {"ended": True}
    counts = scoring.report.counts
    return {"ended": False, "share": counts.done / max(1, counts.total), "doing": _progress_sentence(counts)}
