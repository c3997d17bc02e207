import re

import pytest

from service_server import MESSAGES, SAMPLE, serving

pytest.importorskip("prometheus_client", reason="the extra serve is not installed")


def values(text: str) -> dict[str, float]:
    """Each metric's value, by its name and labels."""
    return {key: float(value) for key, value in re.findall(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)}


def test_prometheus_is_told_what_happened() -> None:
    with serving() as service:
        answer = service.score([SAMPLE, {"messages": MESSAGES}, 3])
        service.ask("/v1/score", b"{")
        status, headers, text = service.ask("/metrics")
        told = values(text)
    samples = [sample for result in answer["results"] for sample in result["samples"]]
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    assert told['efficient_empathy_requests_total{status="200"}'] == 1
    assert told['efficient_empathy_requests_total{status="400"}'] == 1
    assert told["efficient_empathy_request_seconds_count"] == 2
    assert told['efficient_empathy_items_total{state="ok"}'] == 2
    assert told['efficient_empathy_items_total{state="invalid"}'] == 1
    for subset in ("sensibility", "rationality", "discard"):
        count = sum(sample["subset"] == subset for sample in samples)
        assert told[f'efficient_empathy_samples_total{{subset="{subset}"}}'] == count
    assert told["efficient_empathy_batch_samples_sum"] == len(samples) == 3
    for axis in ("sensibility", "rationality"):
        total = sum(sample["scores"][axis] for sample in samples)
        assert told[f'efficient_empathy_score_sum{{axis="{axis}"}}'] == pytest.approx(total)
    assert told["efficient_empathy_waiting_samples"] == 0
    assert told['efficient_empathy_drift{level="none"}'] + told['efficient_empathy_drift{level="unknown"}'] == 1
    assert SAMPLE["response"] not in text
