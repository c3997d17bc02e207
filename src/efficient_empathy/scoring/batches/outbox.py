"""What is still to be sent: the samples without an answer, and the file that the next of them fill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from efficient_empathy.dialogues import Sample
from efficient_empathy.llm.batches.client import BatchClient
from efficient_empathy.llm.budget import Budget
from efficient_empathy.llm.errors import BudgetExhausted
from efficient_empathy.llm.wire import Question
from efficient_empathy.scoring.judges.contract import CheckedJudge, Judgement
from efficient_empathy.scoring.ledger import Batch, BatchRow, Ledger

SENT_AT_MOST = 5
"""Batches that one command sends a sample in, where it comes back without an answer."""
CHUNK = 1024


class Outbox:
    """The samples of `samples` that a judge has still to be asked about by this command, each once at a time."""

    def __init__(self, samples: Callable[[], Iterable[Sample]], judge: CheckedJudge, ledger: Ledger) -> None:
        self._samples, self._judge, self._ledger = samples, judge, ledger
        self._sent: Counter[str] = Counter()
        self._answered: set[str] = set()
        """Those whose answer has no scores: another command may ask again, not this one."""
        self._stream: Iterator[Sample] = iter(())
        self._held: Sample | None = None

    def restart(self, under_way: Iterable[Batch]) -> None:
        """Go through the samples from the first again, without those in batches that are under way."""
        self._held = None
        self._stream = self._missing({sample for batch in under_way for sample, _, _ in batch.rows} | self._answered)

    def take(self) -> Sample | None:
        """The next sample, which is not asked about again by this command; None at the end."""
        sample, self._held = self._held or next(self._stream, None), None
        if sample is not None:
            self._answered.add(sample.id)
        return sample

    def came_back(self, judgements: Iterable[Judgement]) -> int:
        """Note what came back in a batch; how many of the samples go out again."""
        again = 0
        for judgement in judgements:
            self._sent[judgement.sample_id] += 1
            if judgement.state in ("parse_error", "refused"):
                self._answered.add(judgement.sample_id)
            again += judgement.state == "api_error" and self._sent[judgement.sample_id] < SENT_AT_MOST
        return again

    def fill(
        self, file: Path, label: str, client: BatchClient, budget: Budget, most_rows: int
    ) -> tuple[list[BatchRow], float]:
        """Write as many requests as there are, and as API and budget allow; the US dollars that they may cost.

        Raises `BudgetExhausted` where the budget does not cover the first one.
        """
        head, between, tail = client.api.framing
        rows: list[BatchRow] = []
        size, dollars = len(head) + len(tail), 0.0
        with file.open("wb") as handle:
            handle.write(head)
            while len(rows) < most_rows and (sample := self._held or next(self._stream, None)) is not None:
                self._held = sample
                request = client.request(f"{label}-{len(rows)}", Question(**self._judge.request(sample)))
                grown = size + len(request.content) + (len(between) if rows else 0)
                is_covered = budget.covers(dollars + request.bound_usd)
                if not is_covered and not rows:
                    raise BudgetExhausted(
                        f"the budget of ${budget.max_usd:.6g} is used up: ${budget.spent_usd:.6f} spent, and the next "
                        f"request could cost up to ${request.bound_usd:.6f}"
                    )
                if not is_covered or (grown > client.api.most_bytes and rows):
                    break
                handle.write((between if rows else b"") + request.content)
                rows.append((sample.id, len(request.content), request.bound_usd))
                size, dollars = grown, dollars + request.bound_usd
                self._held = None
            handle.write(tail)
        return rows, dollars

    def _missing(self, seen: set[str]) -> Iterator[Sample]:
        """Samples without an answer, each once; none that is in `seen`."""
        chunk: list[Sample] = []

        def fresh() -> Iterator[Sample]:
            missing = self._ledger.missing(self._judge.spec, [sample.id for sample in chunk])
            for sample in chunk:
                if sample.id in missing and sample.id not in seen and self._sent[sample.id] < SENT_AT_MOST:
                    seen.add(sample.id)
                    yield sample

        for sample in self._samples():
            chunk.append(sample)
            if len(chunk) == CHUNK:
                yield from fresh()
                chunk = []
        yield from fresh()
