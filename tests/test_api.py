import json

import polars as pl
import pytest

import efficient_empathy as ee
from efficient_empathy.foundation.errors import UserError
from samples import FORM


def test_the_notebook_face_mirrors_the_commands(tmp_path) -> None:
    rows = [{"context": f"story {i}", "response": "oh", "evaluation": FORM.format(8, i % 8)} for i in range(16)]
    source = tmp_path / "judged.json"
    source.write_text(json.dumps(rows), "utf-8")
    assert ee.read(source).height == 16
    assert ee.inspect_source(source).format == "judged"
    scores = ee.score(source, tmp_path / "run", judge="replay", quiet=True)
    assert scores["sensibility"].to_list() == [8.0] * 16
    subsets = ee.select(tmp_path / "run", beta=6)
    assert subsets.filter(pl.col("rationality") == 7)["subset"].unique().to_list() == ["rationality"]
    with pytest.raises(UserError, match=r"the threshold beta .* is 50, which is not on the scale of rationality"):
        ee.select(tmp_path / "run", beta=50)
    assert ee.write_report(tmp_path / "run").exists()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="scrore"):
        ee.scrore  # noqa: B018


def test_evaluation_and_robustness_in_a_notebook(tmp_path) -> None:
    (tmp_path / "references.txt").write_text("oh no\nwhy ?\n", "utf-8")
    (tmp_path / "ours.txt").write_text("oh no\nwho ?\n", "utf-8")
    figures = ee.evaluate_files([tmp_path / "ours.txt"], tmp_path / "references.txt", resamples=0, quiet=True)
    assert figures.row(by_predicate=pl.col("metric") == "bleu1", named=True)["value"] == 75.0
    rows = [{"context": f"story {i}", "response": "oh", "evaluation": FORM.format(i % 11, i % 7)} for i in range(64)]
    source = tmp_path / "judged.json"
    source.write_text(json.dumps(rows), "utf-8")
    ee.score(source, tmp_path / "run", judge="replay", quiet=True)
    ee.select(tmp_path / "run")
    cells = ee.sweep(tmp_path / "run", alphas="4:6", betas=[5], quiet=True)
    assert cells["alpha"].unique().to_list() == [4.0, 5.0, 6.0]
    chosen = ee.tune(tmp_path / "run", "share=0.8", tolerance=0.5, alphas="4:6", betas="5", quiet=True)
    assert set(chosen) == {"alpha", "beta"}
    ee.select(tmp_path / "run", **chosen)


def test_people_correct_a_run_in_a_notebook(tmp_path) -> None:
    rows = [{"context": f"story {i}", "response": "oh", "evaluation": FORM.format(8, i % 8)} for i in range(16)]
    (tmp_path / "judged.json").write_text(json.dumps(rows), "utf-8")
    run = tmp_path / "run"
    ids = ee.score(tmp_path / "judged.json", run, judge="replay", quiet=True)["sample_id"]
    first = ee.correct(run, [ids[0]], scores={"rationality": 9}, by="ann", reason="it reasons")
    second = ee.correct(run, where="rationality < 2", subset="discard", by="bo")
    assert ee.corrections(run)["number"].to_list() == [first] + [second] * 3
    assert ee.select(run).row(0, named=True)["subset"] == "rationality"
    ee.withdraw_corrections(run, [first], by="ann")
    assert ee.select(run).row(0, named=True)["subset"] == "sensibility"
    with pytest.raises(UserError, match="score is no key: did you mean scores"):
        ee.correct(run, [ids[0]], score={"rationality": 9})
