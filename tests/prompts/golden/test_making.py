import numpy as np
import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.labelling.corrections.settings import CorrectionSettings
from efficient_empathy.labelling.corrections.store import correct
from efficient_empathy.prompts.golden.golden_set import read_golden
from efficient_empathy.prompts.golden.making import expectation, make_golden, summary
from efficient_empathy.prompts.golden.records import parser_hash
from efficient_empathy.prompts.settings import GoldenSettings
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.selection import select
from golden_sets import samples
from judge_specs import spec_of
from scored_runs import write_run

SPEC = spec_of("openai", model="m", reply="auto", temperature=0.0, max_tokens=100, logprobs=False)
AXES = {"sensibility": [0, 10], "rationality": [0, 10]}


def run(root, n=300, **told):
    rng = np.random.default_rng(0)
    scores = {axis: rng.integers(2, 9, n).astype(float).tolist() for axis in AXES}
    manifest = {
        "panel": Panel.of([SPEC]).model_dump(mode="json"),
        "rubric": {"name": "mine", "hash": "0123", "axes": AXES},
    }
    return write_run(root, samples(n), scores, **{**manifest, **told})


def test_every_cell_is_there_and_the_run_s_scores_are_expected(tmp_path) -> None:
    result = make_golden(run(tmp_path / "run"), tmp_path / "g", GoldenSettings(n=100))
    assert (len(result.golden.items), result.cells, result.cells_covered, result.categories_covered) == (100, 49, 49, 5)
    read = read_golden(tmp_path / "g")
    assert [item.row() for item in read.items] == [item.row() for item in result.golden.items]
    assert read.weights.mean() == pytest.approx(1.0)
    manifest = read.manifest
    assert (manifest.judge, manifest.decoding["temperature"], manifest.parser) == (SPEC, 0.0, parser_hash())
    assert (manifest.origin.readings, manifest.rubric.axes["sensibility"]) == (1, (0, 10))


def test_weights_give_back_the_run_s_means(tmp_path) -> None:
    workspace = run(tmp_path / "run")
    golden = make_golden(workspace, tmp_path / "g", GoldenSettings(n=120)).golden
    cells = np.array([item.expected["sensibility"][0] for item in golden.items])
    rng = np.random.default_rng(0)
    assert np.average(cells, weights=golden.weights) == pytest.approx(rng.integers(2, 9, 300).mean(), abs=1e-3)


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_the_run(tmp_path) -> None:
    workspace = run(tmp_path / "run")
    drawn = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        golden = make_golden(workspace, tmp_path / name, GoldenSettings(n=60, seed=seed)).golden
        drawn.append({item.sample.id for item in golden.items})
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("value", "deviation", "expected"),
    [
        (8.0, None, (8, 8)),
        (8.0, 0.0, (8, 8)),
        (7.4, 1.2, (6, 9)),
        (7.5, None, (7, 8)),
        (9.6, 1.0, (8, 10)),
        (0.2, 0.5, (0, 1)),
        (7.9999995, None, (8, 8)),
    ],
)
def test_what_is_expected_of_a_score(value, deviation, expected) -> None:
    assert expectation(value, deviation, (0, 10)) == expected


def test_failures_are_no_expectations(tmp_path) -> None:
    states = ["ok", "refused", "ok", None]
    scores = {axis: [5.0, None, 6.0, None] for axis in AXES}
    workspace = write_run(tmp_path / "run", samples(4), scores, states=states)
    assert len(make_golden(workspace, tmp_path / "g").golden.items) == 2


def test_of_some_samples_alone_and_what_people_set_is_expected(tmp_path) -> None:
    workspace = run(tmp_path / "run", 40)
    ids = [sample.id for sample in samples(40)]
    correct(workspace, ids[:2], CorrectionSettings(scores={"sensibility": 10}, by="ann"))
    drawn = make_golden(workspace, tmp_path / "a", GoldenSettings(n=40), ids=ids[:5])
    assert {item.sample.id for item in drawn.golden.items} == {*ids[:5]}
    assert [item.expected["sensibility"] for item in drawn.golden.items].count((10, 10)) == drawn.people == 2
    assert "People set those of 2 items." in summary(drawn)
    high = make_golden(workspace, tmp_path / "b", GoldenSettings(where="sensibility > 9"))
    assert {item.sample.id for item in high.golden.items} == {*ids[:2]}
    with pytest.raises(UserError, match="has no scored sample among these"):
        make_golden(workspace, tmp_path / "c", GoldenSettings(where="sensibility > 9"), ids=ids[5:])


def test_what_cannot_be_made(tmp_path) -> None:
    workspace = run(tmp_path / "run", 5, inputs={})
    make_golden(workspace, tmp_path / "g")
    with pytest.raises(UserError, match="is not empty"):
        make_golden(workspace, tmp_path / "g")
    make_golden(workspace, tmp_path / "g", force=True)
    other = run(tmp_path / "other", 6)
    other.scores.replace(workspace.scores)
    with pytest.raises(UserError, match=r"scores\.parquet is about other samples than samples\.parquet"):
        make_golden(workspace, tmp_path / "h")
    with pytest.raises(UserError, match=r"scores\.parquet is missing: run `efficient-empathy score"):
        make_golden(other, tmp_path / "h")
    nothing = write_run(tmp_path / "no", samples(2), {a: [None, None] for a in AXES}, states=["refused", None])
    with pytest.raises(UserError, match="has no scored sample"):
        make_golden(nothing, tmp_path / "h")


def test_the_policy_is_the_one_that_is_named_or_fits(tmp_path) -> None:
    workspace = run(tmp_path / "run", 40)
    result = make_golden(workspace, tmp_path / "g", GoldenSettings(n=20, policy="both", thresholds={"beta": 7}))
    assert (result.golden.manifest.policy.name, result.golden.manifest.policy.thresholds) == (
        "both",
        {"alpha": 5, "beta": 7},
    )
    assert "Watched: both, α = 5, β = 7." in summary(result)
    lone = write_run(tmp_path / "lone", samples(30), {"care": [i % 6 for i in range(30)]}, scales={"care": (0, 5)})
    assert make_golden(lone, tmp_path / "h").golden.manifest.policy is None
    with pytest.raises(UserError, match="neither an axis of the rubric"):
        make_golden(lone, tmp_path / "i", GoldenSettings(policy="paper"))
    with pytest.raises(UserError, match=r"the threshold alpha .* is 50, which is not on the scale of sensibility"):
        make_golden(workspace, tmp_path / "i", GoldenSettings(alpha=50))
    (tmp_path / "kind.yaml").write_text("name: kind\nthresholds: {bar: 3}\nrules: [{kind: care > bar}]\n")
    own = make_golden(lone, tmp_path / "j", GoldenSettings(policy=str(tmp_path / "kind.yaml"), thresholds={"bar": 2}))
    assert read_golden(tmp_path / "j").manifest.policy == own.golden.manifest.policy
    assert own.golden.manifest.policy.thresholds == {"bar": 2}


def test_the_policy_of_the_runs_selection_is_watched(tmp_path) -> None:
    workspace = run(tmp_path / "run", 40)
    select(workspace, policy="exclusive", alpha=6)
    policy = make_golden(workspace, tmp_path / "g").golden.manifest.policy
    assert (policy.name, policy.thresholds) == ("exclusive", {"alpha": 6, "beta": 5})
