"""Calls to a model as logs of observability have them: each repeats all that was said before, and gives one reply."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from efficient_empathy.dialogues.formats.payloads import answered_messages, asked_messages
from efficient_empathy.dialogues.rows import Intake, Row, each
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.chat import turns_of
from efficient_empathy.dialogues.turns.conversation import pair

LOOK_AHEAD = 1_000
"""Among so many records a call to a model is looked for, before whole traces are read as dialogues."""
_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Call:
    """One record of a log: what went in and came out, as payloads in any of the shapes that `payloads` reads.

    `is_model` tells the call itself from what stands around it (a chain, an agent, a trace), `is_root` what nothing
    stands around. `labels` are `dialogue_id` and whatever else a row says of its samples.
    """

    row: Row
    asked: Any
    answered: Any
    is_model: bool
    is_root: bool
    labels: dict[str, Any]
    trace: str | None = None
    keys: tuple[str, str] = ("input", "output")

    @property
    def place(self) -> str:
        """Where the record stands."""
        return self.row.place


def call_samples(calls: Iterable[Call], intake: Intake) -> Iterator[Sample]:
    """One sample a call: its last reply, with the history that it was given as context.

    A log with calls to models is read by these alone, one without by its traces, so that nothing is read twice. The
    same exchange within one trace is one sample; all that is left out is counted.
    """
    calls = iter(calls)
    ahead = list(islice(calls, LOOK_AHEAD))
    by_model = any(call.is_model for call in ahead)
    seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def convert(call: Call) -> list[Sample]:
        if not (call.is_model if by_model else call.is_root):
            intake.repairs[_AROUND if by_model else _INSIDE] += 1
            return []
        sample = _sample(call, intake)
        if sample is None:
            return []
        if call.trace is not None:
            key = (call.trace, sample.id)
            if key in seen:
                intake.repairs["calls logged twice in a trace, read once"] += 1
                return []
            seen[key] = None
            if len(seen) > _REMEMBERED:
                seen.popitem(last=False)
        return [sample]

    return each(chain(ahead, calls), intake, convert)


_AROUND = "records around calls to a model left out"
_INSIDE = "records inside a trace left out"


def _sample(call: Call, intake: Intake) -> Sample | None:
    if call.answered in (None, "", [], {}):
        intake.repairs["calls without a reply left out"] += 1
        return None
    if call.asked in (None, "", [], {}):
        intake.repairs["calls logged without their messages left out"] += 1
        return None
    turns = turns_of(answered_messages(call.answered, call.keys[1]), "role", "content", intake)
    if not any(role == "speaker" for role, _ in turns):
        turns = turns_of(asked_messages(call.asked, call.keys[0]), "role", "content", intake) + turns
    *context, (role, reply) = turns or [("speaker", "")]
    if role != "listener" or not reply:
        intake.repairs["calls answered without text left out"] += 1
        return None
    if not any(earlier == "speaker" and text for earlier, text in context):
        intake.repairs["calls without a user's message left out"] += 1
        return None
    row = Row(call.row.place, call.labels, call.row.source, call.row.split)
    sample = pair(context, reply, row, intake)
    if history := sum(turn.role == "listener" for turn in sample.context):
        intake.repairs["earlier replies in the history of calls, read as context"] += history
    return sample
