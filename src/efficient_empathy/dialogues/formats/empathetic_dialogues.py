"""EmpatheticDialogues in its official layout: one utterance a row (Rashkin et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from efficient_empathy.dialogues.rows import Intake, MalformedError, Row, each, label_of, show_value, text_of, turn_of
from efficient_empathy.dialogues.sample import Sample
from efficient_empathy.dialogues.turns.conversation import MAX_TURNS, Turn, conversation


@dataclass(frozen=True, slots=True)
class _Utterance:
    conversation: str
    index: int | None
    voice: str
    text: str
    row: Row


@dataclass(frozen=True, slots=True)
class _Run:
    """The utterances of one conversation."""

    utterances: list[_Utterance]

    @property
    def place(self) -> str:
        return self.utterances[0].row.place


class EmpatheticDialogues:
    """A conversation's utterances are rows that follow each other; commas are written `_comma_`.

    The two voices have any two ids in `speaker_idx`; the first one (`utterance_idx` odd) is the speaker's. `context` is
    the emotion, `prompt` the situation, which is no part of the dialogue. A few conversations of the data set are one
    utterance alone: they have no response, and are counted as a repair.
    """

    name = "empathetic-dialogues"
    help = (
        "the official CSV: `conv_id`, `utterance_idx`, `context` (the emotion), `speaker_idx`, "
        "`utterance`; `_comma_` is a comma"
    )

    def recognises(self, row: dict[str, Any]) -> bool:
        """By its column names."""
        return {"conv_id", "speaker_idx", "utterance"} <= row.keys()

    def samples(self, rows: Iterable[Row], intake: Intake) -> Iterator[Sample]:
        """One sample per listener turn."""

        def runs() -> Iterator[_Run]:
            for _, utterances in groupby(each(rows, intake, _utterance), key=lambda utterance: utterance.conversation):
                yield _Run(list(islice(utterances, MAX_TURNS + 1)))

        return each(runs(), intake, lambda run: _samples(run.utterances, intake))


def _utterance(row: Row) -> Iterator[_Utterance]:
    labels = {key: label_of(row.values, [key]) for key in ("conv_id", "speaker_idx")}
    for key, value in labels.items():
        if value is None:
            raise MalformedError(f"{key!r} is missing")
    text = text_of(row.values, "utterance").replace("_comma_", ",").strip()
    yield _Utterance(
        str(labels["conv_id"]), turn_of(row.values, "utterance_idx"), str(labels["speaker_idx"]), text, row
    )


def _samples(run: list[_Utterance], intake: Intake) -> list[Sample]:
    if len(run) > MAX_TURNS:
        raise MalformedError(f"conversation {show_value(run[0].conversation)} has over {MAX_TURNS:,} rows: split it")
    utterances = sorted(run, key=lambda utterance: utterance.index or 0)
    if utterances != run:
        intake.repairs["conversations put in order"] += 1
    first = utterances[0]
    if len(run) == 1:
        intake.repairs["conversations of one utterance left out"] += 1
        return []
    return conversation(_turns(utterances), first.row, intake, dialogue_keys=["conv_id"], category_keys=["context"])


def _turns(run: list[_Utterance]) -> list[Turn]:
    voices = list(dict.fromkeys(utterance.voice for utterance in run))
    if len(voices) > 2:
        raise MalformedError(f"a third voice {show_value(voices[2])} in 'speaker_idx': a conversation has two")
    starts_with_listener = run[0].index is not None and run[0].index % 2 == 0
    speaker = voices[starts_with_listener] if len(voices) == 2 else None if starts_with_listener else voices[0]
    return [("speaker" if utterance.voice == speaker else "listener", utterance.text) for utterance in run]
