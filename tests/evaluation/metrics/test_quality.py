import io
import json
import math
import os
import signal

import numpy as np
import polars as pl
import pytest
import yaml
from rich.console import Console

import misbehaviours as does
from efficient_empathy.evaluation.metric import MetricOptions
from efficient_empathy.evaluation.metrics.quality import Quality
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring import Ledger, Rubric
from misbehaving_server import MisbehavingServer

GOOD = json.dumps({"naturalness": 3, "coherence": 2, "empathy": 1})


def rows(responses: list[str], **columns) -> pl.DataFrame:
    n = len(responses)
    contexts = [[{"role": "speaker", "text": f"My cat {i} ran away."}] for i in range(n)]
    frame = {
        "id": [str(i) for i in range(n)],
        "dialogue_id": [f"d{i}" for i in range(n)],
        "prediction": responses,
        "reference": ["Oh no."] * n,
        "context": contexts,
    }
    return pl.DataFrame(frame | columns)


def quality(tmp_path, url: str, **judge) -> Quality:
    told = {"model": "gpt-4o", "base_url": url, "max_attempts": 2, **judge}
    return Quality(MetricOptions(judge=told, work=tmp_path / "run"), Console(file=io.StringIO()))


def by_response(body, number):
    """A judge that gives what the response's number says, and prose for 9."""
    prompt = body["messages"][-1]["content"]
    digit = int(prompt.split("Listener: response ")[1][0])
    return does.prose() if digit == 9 else does.ok(json.dumps(dict.fromkeys(Rubric.load("quality").axis_names, digit)))


def values(measured, weights=None) -> dict[str, list[float]]:
    return {name: value.tolist() for name, value in measured.under(weights).items()}


def test_a_figure_is_the_mean_over_ok_judgements_and_a_failure_is_no_number(tmp_path) -> None:
    with MisbehavingServer(by_response) as server:
        metric = quality(tmp_path, server.url)
        measured = metric.measure(rows(["response 1", "response 3", "response 9", "response 3"]))
    found = {name: value[0] for name, value in values(measured).items()}
    assert found == pytest.approx({"naturalness": 7 / 3, "coherence": 7 / 3, "empathy": 7 / 3, "quality_judged": 75})
    assert [figure.name for figure in metric.figures] == list(found)
    assert metric.about["states"] == {"ok": 3, "parse_error": 1}
    assert metric.about["not_ok"] == 1


def test_under_weights_the_failed_row_counts_in_the_share_alone(tmp_path) -> None:
    with MisbehavingServer(by_response) as server:
        measured = quality(tmp_path, server.url).measure(rows(["response 1", "response 3", "response 9"]))
    found = values(measured, np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 2.0], [0.0, 0.0, 1.0]]))
    assert found["empathy"][:2] == [1.5, 3.0]
    assert math.isnan(found["empathy"][2])
    assert found["quality_judged"] == [100.0, 50.0, 0.0]


def test_two_models_with_one_response_are_judged_once_and_a_rerun_pays_only_for_the_rest(tmp_path) -> None:
    with MisbehavingServer(by_response) as server:
        metric = quality(tmp_path, server.url)
        metric.measure(rows(["response 1", "response 2", "response 9"]))
        assert len(server.requests) == 3
        metric.measure(rows(["response 1", "response 3", "response 2"]))
        assert len(server.requests) == 5
        quality(tmp_path, server.url).measure(rows(["response 1", "response 2", "response 9"]))
        assert len(server.requests) == 6  # the one that failed
        quality(tmp_path, server.url, model="gpt-4o-mini").measure(rows(["response 1"]))
        assert len(server.requests) == 7  # another judge


def test_an_empty_response_is_judged_in_its_context(tmp_path) -> None:
    with MisbehavingServer(does.ok(GOOD)) as server:
        assert values(quality(tmp_path, server.url).measure(rows([""])))["naturalness"] == [3.0]
        assert "My cat 0 ran away." in server.requests[0]["messages"][-1]["content"]


def test_a_budget_that_ends_gives_no_figures_but_keeps_what_it_bought(tmp_path) -> None:
    many = rows([f"response {i % 3 + 1}" for i in range(40)])
    with MisbehavingServer(does.ok(GOOD, usage=(1000, 20))) as server:
        with pytest.raises(UserError, match="of 40 responses to go"):
            quality(tmp_path, server.url, max_cost=0.05, concurrency=2).measure(many)
        bought = len(server.requests)
        assert 0 < bought < 40
        with Ledger(tmp_path / "run" / "evaluation" / "ledger.sqlite", read_only=True) as ledger:
            assert 0 < ledger.spent_usd() <= 0.05
        quality(tmp_path, server.url, max_cost=1).measure(many)
        assert len(server.requests) == 40


def test_ctrl_c_gives_no_figures_but_keeps_what_was_answered(tmp_path) -> None:
    def script(body, number):
        if number == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return does.ok(GOOD)

    many = rows(["response 1"] * 30)
    with MisbehavingServer(script, latency_s=0.02) as server:
        with pytest.raises(KeyboardInterrupt):
            quality(tmp_path, server.url, concurrency=2).measure(many)
        asked = len(server.requests)
        assert asked < 30
        quality(tmp_path, server.url).measure(many)
        assert len(server.requests) == 30


def test_a_plan_asks_nothing(tmp_path) -> None:
    with MisbehavingServer(does.ok(GOOD)) as server:
        metric = quality(tmp_path, server.url)
        metric.measure(rows(["response 1"]))
        plan = metric.plan(rows(["response 1", "response 2", "response 3"]))
        assert (plan.requests, len(server.requests)) == (2, 1)


def test_a_rubric_of_one_s_own_has_its_own_figures(tmp_path) -> None:
    axes = [{"name": "tact", "scale": [0, 4], "description": "Is it tactful?"}]
    path = tmp_path / "tact.yaml"
    path.write_text(yaml.safe_dump({**Rubric.load("quality").model_dump(mode="json"), "axes": axes}), "utf-8")
    with MisbehavingServer(does.ok('{"tact": 4}')) as server:
        metric = quality(tmp_path, server.url, rubric=path)
        assert values(metric.measure(rows(["response 1"]))) == {"tact": [4.0], "quality_judged": [100.0]}
    assert [figure.name for figure in metric.figures] == ["tact", "quality_judged"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (MetricOptions(judge={"model": "m"}), "--run RUN"),
        (MetricOptions(judge={}, work="RUN"), "--model"),
        (MetricOptions(judge={"judge": "oracle"}, work="RUN"), "'oracle' names no judge"),
        (MetricOptions(judge={"modle": "m"}, work="RUN"), "modle is no key: did you mean model"),
        (MetricOptions(judge={"judge": "distilled"}, work="RUN"), "naturalness"),
    ],
)
def test_a_judge_that_cannot_do_is_told_at_once(tmp_path, options: MetricOptions, said: str) -> None:
    work = tmp_path if options.work else None
    with pytest.raises(UserError, match=said):
        Quality(MetricOptions(judge=options.judge, work=work))


def test_responses_without_a_context_are_refused(tmp_path) -> None:
    metric = quality(tmp_path, "http://127.0.0.1:9/v1")
    with pytest.raises(UserError, match="in its context"):
        metric.measure(rows(["response 1"]).drop("context"))
    with pytest.raises(UserError, match="row 1 has none"):
        metric.measure(rows(["a", "b"], context=[[{"role": "speaker", "text": "Hi."}], []]))


def test_the_field_s_dimensions_on_their_scale() -> None:
    rubric = Rubric.load("quality")
    assert {axis.name: axis.scale for axis in rubric.axes} == dict.fromkeys(
        ("naturalness", "coherence", "empathy"), (1, 3)
    )
    assert all(set(axis.anchors) == {1, 2, 3} for axis in rubric.axes)
