from efficient_empathy.evaluation.costs import Cost, costs, files
from evaluated_runs import answered_run, costed_run


def test_experts_have_their_own_and_mixtures_the_sum(tmp_path) -> None:
    workspace = costed_run(tmp_path)
    found = costs(workspace, ["base", "sensibility", "average", "moe", "gpt-4o"])
    assert found["base"] == Cost(0.0, None)
    assert found["sensibility"] == Cost(0.5, {"tokens": 1000, "seconds": 10, "flops": 1e9})
    assert found["average"] == Cost(0.75, {"tokens": 2000, "seconds": 20, "flops": 2e9})
    assert found["moe"] == Cost(0.75, {"tokens": 4000, "seconds": 25, "flops": 2e9 + 6 * 1000 * 2000})
    assert found["gpt-4o"] == Cost(None, None)
    assert {path.name for path in files(workspace)} == {"training.json", "composition.json"}


def test_what_is_not_recorded_is_not_made_up(tmp_path) -> None:
    workspace = costed_run(tmp_path)
    (workspace.moe / "composition.json").unlink()
    assert costs(workspace, ["moe"])["moe"] == Cost(None, None)
    (workspace.experts / "rationality" / "training.json").unlink()
    assert costs(workspace, ["average"])["average"] == Cost(None, None)


def test_a_run_without_training_has_none(tmp_path) -> None:
    workspace = answered_run(tmp_path)
    assert costs(workspace, ["sensibility", "moe"]) == {"sensibility": Cost(None, None), "moe": Cost(None, None)}
    assert files(workspace) == []
