"""Conversations as they come, one JSON object a line, each answered with one line."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Empty, Queue
from typing import Any, BinaryIO

from efficient_empathy.dialogues import Intake, Sample
from efficient_empathy.dialogues.containers.json_file import line_value
from efficient_empathy.dialogues.containers.opening import lines
from efficient_empathy.dialogues.rows import show_value
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.prediction.predictor import Predictor, by_conversation
from efficient_empathy.labelling.prediction.stage import Collection, round_fractions, row_samples

TOGETHER = 64
"""Lines judged in one go where as many wait already; a line that comes alone is answered alone."""
_Line = tuple[int, bytes | None]


@dataclass
class Reading:
    """How lines are read, and what bad ones do."""

    intake: Intake = field(default_factory=Intake)

    def samples(self, number: int, line: bytes | None) -> list[Sample] | str:
        """The samples of a line, or why it has none where bad lines are skipped."""
        place = f"line {number}"
        value, fault = line_value(line)
        if isinstance(value, list):
            value = {"messages": value}
        before = self.intake.bad_row_count
        samples: list[Sample] = []
        if isinstance(value, dict):
            samples = row_samples(value, place, self.intake)
        else:
            self.intake.bad(place, fault or f"{show_value(value)} is not a JSON object")
        return samples if self.intake.bad_row_count == before else self._reason()

    def _reason(self) -> str:
        """Of the bad row that came last; the intake keeps the first ones alone, so those are let go."""
        reason = self.intake.bad_rows[-1].reason if self.intake.bad_rows else "not readable"
        self.intake.bad_rows.clear()
        return reason


def answers(
    stream: BinaryIO, predictor: Predictor, collection: Collection, reading: Reading
) -> Iterator[dict[str, Any]]:
    """One answer per line that is not blank, in order, as soon as it is judged.

    `{"line", "dialogue_id", "samples": [figures of each listener turn], "conversation": their means and the weakest
    turn}`, or `{"line", "error"}`. Raises `UserError` for a bad line unless bad ones are skipped, after all lines
    before it have been answered.
    """
    for waiting in _waiting(stream):
        requests: list[tuple[int, list[Sample] | str]] = []
        fault: UserError | None = None
        for number, line in waiting:
            try:
                requests.append((number, reading.samples(number, line)))
            except UserError as error:
                fault = error
                break
        yield from _answer(requests, predictor, collection)
        if fault is not None:
            raise fault


def _answer(
    requests: list[tuple[int, list[Sample] | str]], predictor: Predictor, collection: Collection
) -> Iterator[dict[str, Any]]:
    samples = [sample for _, content in requests if not isinstance(content, str) for sample in content]
    batch = predictor(samples)
    collection.add(samples, batch)
    at = 0
    for number, content in requests:
        if isinstance(content, str):
            yield {"line": number, "error": content}
            continue
        frame = batch.frame.slice(at, len(content))
        at += len(content)
        whole = round_fractions(by_conversation(frame, predictor.policy.otherwise).row(0, named=True))
        rows = [round_fractions(row) for row in frame.drop("dialogue_id").iter_rows(named=True)]
        yield {"line": number, "dialogue_id": whole.pop("dialogue_id"), "samples": rows, "conversation": whole}


def _waiting(stream: BinaryIO) -> Iterator[list[_Line]]:
    """Lines that are not blank, as many together as wait already, at most `TOGETHER`; waits for one at least."""
    queue: Queue[_Line | BaseException | None] = Queue(2 * TOGETHER)
    threading.Thread(target=_read_lines, args=(stream, queue.put), daemon=True).start()
    ended = False
    while not ended:
        batch: list[_Line] = []
        try:
            while len(batch) < TOGETHER and not ended:
                item = queue.get(block=not batch)
                if isinstance(item, BaseException):
                    raise item
                if item is None:
                    ended = True
                else:
                    batch.append(item)
        except Empty:
            pass
        if batch:
            yield batch


def _read_lines(stream: BinaryIO, put: Callable[[_Line | BaseException | None], None]) -> None:
    try:
        for number, line in lines(stream):
            if line is None or not line.isspace():
                put((number, line))
    except OSError as error:
        put(UserError(f"cannot read the input: {error.strerror or error}"))
    except ValueError as error:  # closed meanwhile
        put(UserError(f"cannot read the input: {error}"))
    else:
        put(None)
