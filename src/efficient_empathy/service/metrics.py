"""What Prometheus is told, by the library `prometheus-client` (extra `serve`)."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from efficient_empathy.service.batching import TOGETHER
from efficient_empathy.service.scorer import Answer
from efficient_empathy.service.serving import ServedRecord
from efficient_empathy.service.traffic import LATENCIES

if TYPE_CHECKING:
    from collections.abc import Callable

MISSING = "/metrics needs the library prometheus-client: pip install 'efficient-empathy[serve]'"
LEVELS = ("ok", "watch", "alarm", "unknown", "none")
_PREFIX = "efficient_empathy_"


class Metrics:
    """The metrics of one service. Raises `ImportError` without the library.

    `waiting` and `drift` give what is asked for when Prometheus asks: the samples that wait, and the level of drift.
    """

    def __init__(self, served: ServedRecord, waiting: Callable[[], int], drift: Callable[[], str]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

        self.registry = CollectorRegistry()
        self._scales = served.scales

        def make(kind: Any, name: str, text: str, labels: tuple[str, ...] = (), **options: Any) -> Any:
            return kind(f"{_PREFIX}{name}", text, labels, registry=self.registry, **options)

        make(Info, "served", "What is served.").info(
            {"version": version("efficient-empathy"), "judge": served.judge, "policy": f"{served.policy['name']}"}
        )
        self._requests = make(Counter, "requests", "Requests to score, by HTTP status.", ("status",))
        self._seconds = make(
            Histogram, "request_seconds", "Seconds from a request's header to its answer.", buckets=LATENCIES
        )
        self._items = make(Counter, "items", "Conversations, by state (ok, invalid, failed).", ("state",))
        self._samples = make(Counter, "samples", "Samples that were scored, by subset.", ("subset",))
        self._outside = make(Counter, "outside", "Samples that are unlike all that the reference has.")
        self._batch = make(
            Histogram, "batch_samples", "Samples that were judged together.", buckets=range(1, TOGETHER + 1)
        )
        levels = sorted({level + 0.5 for low, high in self._scales.values() for level in range(low, high)})
        self._scores = make(Histogram, "score", "Scores, by axis.", ("axis",), buckets=levels)
        make(Gauge, "waiting_samples", "Samples that wait to be judged.").set_function(waiting)
        level = make(Gauge, "drift", "1 at the level of drift that there is, 0 at the others.", ("level",))
        for name in LEVELS:
            level.labels(name).set_function(lambda name=name: float(drift() == name))
        for subset in served.subsets:
            self._samples.labels(subset)
        for status in ("200", "503"):
            self._requests.labels(status)

    def add_request(self, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(f"{status}").inc()
        self._seconds.observe(seconds)

    def add_item(self, state: str, answers: Iterable[Answer]) -> None:
        """Count a conversation and its samples."""
        self._items.labels(state).inc()
        for answer in answers:
            if answer.values is None:
                continue
            self._samples.labels(answer.content["subset"]).inc()
            for axis in self._scales:
                self._scores.labels(axis).observe(answer.content["scores"][axis])
            if answer.content["outside"]:
                self._outside.inc()

    def add_batch(self, samples: int) -> None:
        """Count a batch of the judge."""
        self._batch.observe(samples)

    def text(self, accept: str) -> tuple[bytes, str]:
        """All of it in the form that is asked for, and its media type."""
        from prometheus_client.exposition import choose_encoder

        encoder, media = choose_encoder(accept)
        return encoder(self.registry), media
