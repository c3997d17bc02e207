"""A cascade from end to end: what it asks for, what it guarantees, what it keeps when it is interrupted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from batch_server import BatchServer
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.labelling.cascade.guarantee import f1_score
from efficient_empathy.labelling.cascade.record import summary
from efficient_empathy.labelling.cascade.settings import CascadeSettings
from efficient_empathy.labelling.cascade.stage import cascade
from efficient_empathy.report import report
from efficient_empathy.scoring.batches.settings import BatchSettings
from efficient_empathy.scoring.rubric import Rubric
from efficient_empathy.selection import select
from misbehaving_server import MisbehavingServer
from predicted_runs import PredictedRun, asked, wrong_share


def run(
    predicted: PredictedRun,
    workspace: Workspace,
    server: MisbehavingServer | BatchServer,
    *,
    dry_run: bool = False,
    batches: BatchSettings | None = None,
    **settings: Any,
) -> dict[str, Any]:
    goal = {} if "f1" in settings else {"error": 0.15}
    values = CascadeSettings(expert=f"openai:gpt-4o-mini@{server.url}", **{"check": 30, **goal, **settings})
    options = {"concurrency": 4, "max_attempts": 1}
    console = Console(quiet=True)
    return cascade(
        predicted.source, workspace, values, options=options, dry_run=dry_run, batches=batches, console=console
    )


def test_the_guarantee_is_kept_by_the_selection_and_only_the_rest_is_paid_for(predicted, tmp_path) -> None:
    workspace = predicted.copy(tmp_path / "run")
    with MisbehavingServer(predicted.expert()) as server:
        result = run(predicted, workspace, server)
    output = result.cascade
    n = len(predicted.predictions.ids)
    assert result.states["ok"] == result.samples == n
    assert 0.2 < output.saved < 1
    assert len(server.requests) == result.requests == round((1 - output.saved) * n)
    assert max(Counter(map(asked, server.requests)).values()) == 1
    assert wrong_share(predicted, workspace) <= 0.15
    scores = pl.read_parquet(workspace.scores)
    counts = dict(scores["answered_by"].value_counts().iter_rows())
    assert counts["gpt-4o-mini"] == len(server.requests)
    assert sum(counts.values()) == n
    assert scores.filter(answered_by="gpt-4o-mini")["sensibility_probabilities"].null_count() == len(server.requests)
    assert "of the judgements saved" in summary(result, workspace.root)
    assert output.check.wrong <= output.check.checked == 30


def test_the_report_tells_what_was_guaranteed_and_found(predicted, tmp_path) -> None:
    workspace = predicted.copy(tmp_path / "run")
    with MisbehavingServer(predicted.expert()) as server:
        run(predicted, workspace, server)
    report(workspace)
    page = workspace.report.read_text("utf-8")
    assert "Guaranteed was the wrong subset for at most 15 % of all" in page
    assert "Of 30 others, drawn to check it," in page
    select(workspace)
    report(workspace)
    assert "A cascade answered" in workspace.report.read_text("utf-8")


def test_an_expert_asked_in_batches_gives_the_same_cascade_over_several_commands(predicted, tmp_path) -> None:
    known = {sample[:12]: row for sample, row in zip(predicted.predictions.ids, predicted.scores, strict=True)}

    def scores(text: str) -> dict[str, int]:
        sensibility, rationality = known[asked({"messages": [{"content": text}]})]
        return {"sensibility": int(sensibility), "rationality": int(rationality)}

    with MisbehavingServer(predicted.expert()) as server:
        live = run(predicted, predicted.copy(tmp_path / "live"), server)
    workspace = predicted.copy(tmp_path / "run")
    with BatchServer(scores=scores) as server:
        for _ in range(9):
            batches = BatchSettings(batch=True)
            result = run(predicted, workspace, server, batches=batches)
            if result.ending == "complete":
                break
            assert result.under_way > 0
            assert "are in batches under way: the same command collects them later" in summary(result, workspace.root)
        assert set(server.asked.values()) == {1}
        assert len(server.calls) < 9  # the rest went in batches
    assert result.cascade.guarantee == live.cascade.guarantee
    assert result.cascade.check == live.cascade.check
    assert result.states == live.states


def test_a_finished_cascade_asks_nothing_more(predicted, tmp_path) -> None:
    workspace = predicted.copy(tmp_path / "run")
    with MisbehavingServer(predicted.expert()) as server:
        first = run(predicted, workspace, server)
        asked_before, scores = len(server.requests), pl.read_parquet(workspace.scores)
        again = run(predicted, workspace, server)
        assert len(server.requests) == asked_before
    assert again.requests == 0
    assert again.cascade.guarantee == first.cascade.guarantee
    assert pl.read_parquet(workspace.scores).equals(scores)


@pytest.mark.parametrize("dies_at", [20, 90, 120])
def test_interrupted_in_any_phase_it_goes_on_without_paying_again(predicted, tmp_path, dies_at: int) -> None:
    workspace = predicted.copy(tmp_path / "run")
    answer = predicted.expert()

    def dying(body: dict[str, Any], number: int) -> Any:
        return answer(body, number) if number < dies_at else _unauthorised()

    with MisbehavingServer(dying) as server:
        with pytest.raises(UserError, match="the same command goes on from there"):
            run(predicted, workspace, server)
        kept = pl.read_parquet(workspace.scores)
        assert kept["state"].eq_missing("ok").sum() == dies_at
        first = Counter(asked(body) for body in server.requests[:dies_at])
    assert json.loads(workspace.manifest_path.read_text())["stages"]["score"]["cascade"]["guarantee"] is None
    with MisbehavingServer(answer, port=server.port) as server:
        result = run(predicted, workspace, server)
        second = Counter(map(asked, server.requests))
    assert not set(first) & set(second)
    assert result.states["ok"] == len(predicted.predictions.ids)


def _unauthorised() -> Any:
    from misbehaviours import raw

    return raw(b'{"error": {"message": "no such key"}}', 401)


def test_what_the_expert_fails_on_counts_as_wrong_and_gets_no_label(predicted, tmp_path) -> None:
    marks = {sample[:12] for sample in predicted.predictions.ids[::9]}
    runs = {}
    for name, fails in {"whole": lambda mark, number: False, "failing": lambda mark, number: mark in marks}.items():
        workspace = predicted.copy(tmp_path / name)
        with MisbehavingServer(predicted.expert(fails=fails)) as server:
            runs[name] = run(predicted, workspace, server, calibration=100, error=0.2, check=0)
    whole, failing = (runs[name].cascade.guarantee for name in ("whole", "failing"))
    assert whole.failed == 0 < failing.failed
    assert failing.answered < whole.answered
    states = runs["failing"].states
    assert states["refused"] > 0
    assert "filtered" in json.dumps(runs["failing"].reasons)
    labelled = pl.read_parquet(tmp_path / "failing" / "scores.parquet")
    refused = labelled.filter(pl.col("state") == "refused")
    assert refused["sensibility"].null_count() == len(refused) == states["refused"]


def test_a_dry_run_asks_nothing_and_tells_the_plan(predicted, tmp_path) -> None:
    workspace = predicted.copy(tmp_path / "run")
    with MisbehavingServer(predicted.expert()) as server:
        plan = run(predicted, workspace, server, dry_run=True).plan
        assert not server.requests
    assert 0 < plan.calibration < plan.judgements < len(predicted.predictions.ids)
    assert plan.cost_usd > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"error": 0.001}, "3[0-9][0-9] would have to be drawn"),
        ({"error": 0.05, "calibration": 20}, "6[0-9] might"),
    ],
)
def test_what_cannot_be_guaranteed_is_said_before_anything_is_spent(
    predicted, tmp_path, settings, message: str
) -> None:
    workspace = predicted.copy(tmp_path / "run")
    with MisbehavingServer(predicted.expert()) as server:
        with pytest.raises(UserError, match=message):
            run(predicted, workspace, server, **settings)
        assert not server.requests


def test_a_budget_that_ends_leaves_no_guarantee_and_more_money_goes_on(predicted, tmp_path) -> None:
    workspace = predicted.copy(tmp_path / "run")
    with MisbehavingServer(predicted.expert()) as server:
        values = CascadeSettings(expert=f"openai:gpt-4o-mini@{server.url}", error=0.15, check=0)
        options = {"concurrency": 4, "max_cost": 0.0007}
        result = cascade(predicted.source, workspace, values, options=options, console=Console(quiet=True))
        assert result.ending == "budget"
        assert result.cascade.guarantee is None
        assert "Run the same command again" in summary(result, workspace.root)
        kept = len(server.requests)
        assert 0 < kept < len(predicted.predictions.ids)
        result = run(predicted, workspace, server, check=0)
        assert max(Counter(map(asked, server.requests)).values()) == 1
    assert result.states["ok"] == len(predicted.predictions.ids)


def test_an_f1_is_guaranteed_and_kept(predicted, tmp_path) -> None:
    workspace = predicted.copy(tmp_path / "run")
    with MisbehavingServer(predicted.expert()) as server:
        result = run(predicted, workspace, server, f1=0.85, check=0)
    assert result.cascade.goal == "F1 of the sensibility subset at least 0.85"
    assert result.cascade.saved > 0.1
    select(workspace)
    names = pl.read_parquet(workspace.assignments)["subset"].to_list()
    labels = np.array([predicted.predictions.subsets.index(name) for name in names])
    assert f1_score(labels, predicted.predictions.labels_of(predicted.scores), 0) >= 0.85


def test_refitting_in_rounds_pays_once_and_keeps_the_guarantee_with_a_harsher_expert(predicted, tmp_path) -> None:
    workspace = predicted.copy(tmp_path / "run")
    with MisbehavingServer(predicted.expert(shift=-4)) as server:  # all that the judge takes for sensible is not
        result = run(predicted, workspace, server, rounds=2, check=0, error=0.2, calibration=80)
        assert max(Counter(map(asked, server.requests)).values()) == 1
    guarantee = result.cascade.guarantee
    assert guarantee.population < len(predicted.predictions.ids)
    assert guarantee.draws < 80
    truth = predicted.predictions.labels_of(np.maximum(0, predicted.scores - [4, 0]))
    select(workspace)
    labels = pl.read_parquet(workspace.assignments)["subset"].to_list()
    wrong = [predicted.predictions.subsets[k] != label for k, label in zip(truth, labels, strict=True)]
    assert np.mean(wrong) <= 0.2


def test_a_rubric_with_other_axes_has_no_subsets_to_guarantee(predicted, tmp_path) -> None:
    with pytest.raises(UserError, match="rationality stands there, but it is neither an axis of the rubric"):
        cascade(predicted.source, Workspace(tmp_path / "run"), CascadeSettings(), Rubric.load("quality"))
    with pytest.raises(UserError, match=r"the threshold alpha .* is 50, which is not on the scale of sensibility"):
        cascade(predicted.source, Workspace(tmp_path / "run"), CascadeSettings(alpha=50))
    assert not (tmp_path / "run").exists()


def test_an_empty_source_is_one_clear_sentence(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(UserError):
        cascade(empty, Workspace(tmp_path / "run"), CascadeSettings(expert="distilled"), console=Console(quiet=True))
