import polars as pl
import pytest

from efficient_empathy.evaluation.comparison import compare
from efficient_empathy.evaluation.formatting import figures, frame, summary, write_tables
from efficient_empathy.evaluation.record import EvaluationRecord, EvaluationResult
from efficient_empathy.foundation.errors import UserError
from fake_metrics import Lengths, contestant, edited, three


@pytest.fixture
def several():
    return compare(three(), [Lengths()], resamples=500)


def test_one_model_is_n_and_metrics() -> None:
    alone = [contestant("moe", ["oh no", "how lovely"] * 3)]
    told = figures(compare(alone, [Lengths()], resamples=0))
    assert set(told) == {"n", "metrics"}
    assert (told["n"], set(told["metrics"])) == (6, {"shared", "kinds", "length"})
    assert set(figures(compare(alone, [Lengths()], resamples=100))) == {"n", "metrics", "intervals"}


def test_several_models_have_their_figures_by_name_and_the_tests(several) -> None:
    told = figures(EvaluationResult(**dict(several), path="x", seconds=1.0, skipped=False))
    assert set(told) == {"n", "metrics", "baseline", "models", "tests", "path", "seconds", "skipped"}
    assert told["metrics"]["moe"] == several.models[2].values


def test_the_summary_says_who_is_better_in_what(several) -> None:
    told = summary(EvaluationResult(**dict(several), path="runs/mine/evaluation.json", seconds=1.0, skipped=True))
    assert "The moe against The base: better in shared" in told
    assert "The same against The base: no significant difference." in told
    assert told.endswith("Written to runs/mine/evaluation.json (nothing had changed)")


def test_a_lower_perplexity_is_better(several) -> None:
    several = edited(several, lambda content: content["metrics"]["shared"].update(better="lower"))
    assert "worse in shared" in summary(several)


def test_tables_are_written_where_they_are_asked_for(several, tmp_path) -> None:
    files = {"markdown": tmp_path / "new" / "t.md", "latex": tmp_path / "t.tex", "json_file": tmp_path / "t.json"}
    write_tables(EvaluationResult(**dict(several), path="x", seconds=1.0, skipped=False), **files)
    assert files["markdown"].read_text().startswith("| lengths | N |")
    assert r"\toprule" in files["latex"].read_text()
    assert EvaluationRecord.read(files["json_file"]) == several
    with pytest.raises(UserError, match="cannot write"):
        write_tables(several, markdown=tmp_path)


def test_the_frame_has_a_row_for_every_model_and_figure(several) -> None:
    table = frame(several)
    assert len(table) == 9
    moe = table.row(by_predicate=(pl.col("model") == "moe") & (pl.col("metric") == "shared"), named=True)
    assert moe["low"] < moe["value"] < moe["high"]
    assert moe["p_holm"] < 0.05 < moe["difference"]
    assert table.filter(model="base")["p"].null_count() == 3
