"""A cascade of several steps: two models of different quality and price behind one real server."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.cascade.record import CascadeRecord, CascadeResult, plan_text, summary
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.labelling.cascade.stage import cascade
from efficient_empathy.report import report
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, ok, raw
from predicted_runs import PredictedRun, asked, wrong_share

CHEAP, DEAR = "gpt-4o-mini", "gpt-4o"
Script = Callable[[dict[str, Any], int], Behaviour]


def two_models(predicted: PredictedRun, off: float) -> Script:
    """The dear one is the expert; the cheap one says the same, but for a share `off`, of which it knows nothing."""
    expert = predicted.expert()

    def answer(body: dict[str, Any], number: int) -> Behaviour:
        digest = hashlib.sha256(asked(body).encode()).digest()
        if body["model"] == DEAR or digest[0] / 256 >= off:
            return expert(body, number)
        return ok(f"- Sensibility: {digest[1] % 11}\n- Rationality: {digest[2] % 11}")

    return answer


def run(
    predicted: PredictedRun, workspace: Workspace, server: MisbehavingServer, steps: tuple[str, ...] = (CHEAP,),
    options: dict[str, Any] | None = None, *, dry_run: bool = False, **settings: Any,
) -> Any:  # fmt: skip
    values = CascadeSettings(
        expert=f"openai:{DEAR}@{server.url}",
        step=("distilled", *(f"openai:{model}@{server.url}" for model in steps)),
        **{"error": 0.08, "check": 0, "trial": 50, "calibration": 90, **settings},
    )
    given = {"concurrency": 4, "max_attempts": 1, **(options or {})}
    return cascade(predicted.source, workspace, values, options=given, dry_run=dry_run, console=Console(quiet=True))


def models(server: MisbehavingServer) -> dict[str, Counter[str]]:
    """How often each sample was asked for, by model."""
    return {
        model: Counter(asked(body) for body in server.requests if body["model"] == model) for model in (CHEAP, DEAR)
    }


def test_a_good_step_saves_the_expert_work_and_money_under_one_guarantee(predicted, tmp_path) -> None:
    results: dict[str, CascadeResult] = {}
    for name, steps in {"one": (), "two": (CHEAP,)}.items():
        workspace = predicted.copy(tmp_path / name)
        with MisbehavingServer(two_models(predicted, off=0.05)) as server:
            results[name] = run(predicted, workspace, server, steps)
            counts = models(server)
    one, two = results["one"].cascade, results["two"].cascade
    assert all(set(count.values()) == {1} for count in counts.values())
    assert two.steps[0].used
    assert two.saved > one.saved + 0.05
    assert results["two"].cost_usd < results["one"].cost_usd
    assert two.saved_usd > one.saved_usd > 0
    assert wrong_share(predicted, workspace) <= 0.08

    answered = dict(pl.read_parquet(workspace.scores)["answered_by"].value_counts().iter_rows())
    assert answered[DEAR] == len(counts[DEAR])
    assert answered[CHEAP] == two.answered[CHEAP] > 0
    uncertainty = 1 - predicted.predictions.probabilities().max(axis=1)
    is_asked = np.array([sample[:12] in counts[CHEAP] for sample in predicted.predictions.ids])
    assert uncertainty[is_asked].min() >= uncertainty[~is_asked].max()  # only about what the step before is not sure of
    assert f"{CHEAP} answered {answered[CHEAP]:,}" in summary(results["two"], workspace.root)
    report(workspace)
    assert f"{CHEAP} answered {answered[CHEAP]} samples" in workspace.report.read_text("utf-8")


def test_a_step_that_knows_nothing_is_dropped_after_its_trial(predicted, tmp_path) -> None:
    workspace = predicted.copy(tmp_path / "run")
    with MisbehavingServer(two_models(predicted, off=1.0)) as server:
        result = run(predicted, workspace, server, error=0.15, trial=140)  # fewer tell by luck what it is worth
        counts = models(server)
    assert not result.cascade.steps[0].used
    assert len(counts[CHEAP]) == 140
    assert result.cascade.answered[CHEAP] == 0
    assert wrong_share(predicted, workspace) <= 0.15


def test_the_plan_tells_what_is_spent_and_what_all_would_cost_before_anything_is(predicted, tmp_path) -> None:
    workspace = predicted.copy(tmp_path / "run")
    with MisbehavingServer(two_models(predicted, off=0.05)) as server:
        record = run(predicted, workspace, server, dry_run=True)
        assert not server.requests
    assert isinstance(record, CascadeRecord)
    assert 0 < record.steps[0].cost_usd < record.plan.cost_usd < record.plan.all_usd
    text = plan_text(record, DEAR)
    assert f"instead of ${record.plan.all_usd:.2f}" in text
    assert f"Step {CHEAP}: it is asked about {record.plan.uncertain} samples at most" in text


@pytest.mark.parametrize("dies_at", [30, 90, 200])
def test_interrupted_in_any_step_it_goes_on_without_paying_again(predicted, tmp_path, dies_at: int) -> None:
    workspace, answer = predicted.copy(tmp_path / "run"), two_models(predicted, off=0.05)

    def dying(body: dict[str, Any], number: int) -> Behaviour:
        return answer(body, number) if number < dies_at else raw(b'{"error": {"message": "no such key"}}', 401)

    with MisbehavingServer(dying) as server:
        with pytest.raises(UserError, match="the same command goes on from there"):
            run(predicted, workspace, server)
        first = Counter((body["model"], asked(body)) for body in server.requests[:dies_at])
    with MisbehavingServer(answer, port=server.port) as server:
        result = run(predicted, workspace, server)
        second = Counter((body["model"], asked(body)) for body in server.requests)
    assert not set(first) & set(second)
    assert result.states["ok"] == len(predicted.predictions.ids)
    assert wrong_share(predicted, workspace) <= 0.08


def test_one_limit_on_cost_holds_for_all_models_together(predicted, tmp_path) -> None:
    workspace = predicted.copy(tmp_path / "run")
    with MisbehavingServer(two_models(predicted, off=0.05)) as server:
        result = run(predicted, workspace, server, options={"max_cost": 0.02})
    assert result.ending == "budget"
    assert 0 < result.cost_usd <= 0.02
    assert result.cascade.guarantee is None


def test_what_a_step_fails_on_is_left_to_the_expert(predicted, tmp_path) -> None:
    workspace, answer = predicted.copy(tmp_path / "run"), two_models(predicted, off=0.05)
    marks = {sample[:12] for sample in predicted.predictions.ids[::3]}

    def failing(body: dict[str, Any], number: int) -> Behaviour:
        if body["model"] == CHEAP and asked(body) in marks:
            return raw(b'{"error": {"message": "filtered", "code": "content_filter"}}', 400)
        return answer(body, number)

    with MisbehavingServer(failing) as server:
        result = run(predicted, workspace, server)
    assert result.states["ok"] == len(predicted.predictions.ids)
    assert wrong_share(predicted, workspace) <= 0.08


def test_a_first_step_that_costs_is_refused() -> None:
    with pytest.raises(ValueError, match="the first step is distilled, which costs nothing"):
        CascadeSettings(step=("openai:gpt-4o-mini",))


def test_the_same_judge_by_two_names_is_refused(predicted, tmp_path) -> None:
    settings = CascadeSettings(expert="openai", step=("distilled", "openai:gpt-4o@http://127.0.0.1:9"))
    options = {"model": "gpt-4o", "base_url": "http://127.0.0.1:9"}
    with pytest.raises(UserError, match="two of them are the same"):
        cascade(predicted.source, predicted.copy(tmp_path / "run"), settings, options=options)
