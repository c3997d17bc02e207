import re
from dataclasses import replace

import polars as pl
import pytest

from efficient_empathy.evaluation.comparison import compare
from efficient_empathy.evaluation.record import EvaluationRecord, EvaluationResult
from efficient_empathy.evaluation.tables import (
    blocks,
    figures,
    frame,
    latex_tables,
    markdown_tables,
    summary,
    text,
    write_tables,
)
from efficient_empathy.foundation.errors import UserError
from fake_metrics import Lengths, contestant, edited, three


@pytest.fixture
def result():
    cost = {"share_of_data": 0.59, "training": {"tokens": 12345, "seconds": 60.2, "flops": 1.5e12}}
    return edited(
        compare(three(), [Lengths()], resamples=500),
        lambda content: (content.update(part="test"), content["models"][2].update(cost)),
    )


def test_the_best_and_the_significant_are_known(result) -> None:
    lengths, training = blocks(result)
    assert lengths.heads == ["N", "shared↑", "kinds↑", "length"]
    rows = dict(lengths.rows)
    assert [cell.best for cell in rows["The moe"]] == [False, True, True, False]
    assert rows["The moe"][1].significant
    assert not any(cell.best or cell.significant for cell in rows["The base"])
    assert rows["The moe"][0].value == "40"
    assert rows["The base"][1].interval.startswith("[")
    assert lengths.about == "words: split on spaces; versions: python 3"
    assert [cell.value for cell in dict(training.rows)["The moe"]] == ["59.0%", "12,345", "60", "1.50e+12"]
    assert {cell.value for cell in dict(training.rows)["The base"]} == {"–"}


def test_equal_values_are_equally_marked_and_all_equal_not_at_all() -> None:
    base, same, moe = three()
    lengths = blocks(compare([moe, replace(moe, name="twin"), base], [Lengths()], resamples=0))[0]
    assert [cells[1].best for _, cells in lengths.rows] == [True, True, False]
    lengths = blocks(compare([base, same], [Lengths()], resamples=0))[0]
    assert not any(cell.best for _, cells in lengths.rows for cell in cells)


def test_markdown_has_a_table_of_even_rows_and_says_what_its_marks_mean(result) -> None:
    rendered = markdown_tables(result)
    table = [line for line in rendered.splitlines() if line.startswith("|")][:5]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in table] == [6] * 5
    assert re.search(r"\| The moe \| 40 \| \*\*[\d.]+\*\*\\\*<br><small>\\\[[\d.]+, [\d.]+\\\]</small> \|", rendered)
    assert "N = 40 responses in 20 dialogues of the test split." in rendered
    assert r"\* differs from The base (p &lt; 0.05, Holm-corrected over 4 tests)." in rendered
    assert "words: split on spaces" in rendered


def test_labels_cannot_break_a_table(result) -> None:
    result = edited(result, lambda content: content["models"][2].update(label="50% | a_b & <b>{x}\\y\n$z^2~#"))
    assert r"| 50% \| a\_b &amp; &lt;b&gt;{x}\\y $z^2~# |" in markdown_tables(result)
    escaped = (
        r"50\% \textbar{} a\_b \& \textless{}b\textgreater{}\{x\}\textbackslash{}y \$z\textasciicircum{}2"
        r"\textasciitilde{}\#"
    )
    assert escaped in latex_tables(result)


def test_latex_is_booktabs_with_even_rows(result) -> None:
    rendered = latex_tables(result)
    table = rendered.split(r"\end{table*}")[0]
    assert [table.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    rows = [line for line in table.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {4}
    assert r"\begin{tabular}{lrrrr}" in table
    assert r"shared$\uparrow$" in table
    assert re.search(r"\\textbf\{[\d.]+\}\$\^\{\*\}\$", table)
    assert re.search(r"\{\\scriptsize \[[\d.]+, [\d.]+\]\}", table)
    assert table.count("{") == table.count("}")
    assert r"\caption{N = 40" in table
    assert r"Intervals: 95\%" in table


def test_text_is_aligned(result) -> None:
    lines = text(result).splitlines()
    head, *rows = lines[1:5]
    assert head.split() == ["N", "shared↑", "kinds↑", "length"]
    assert [row.split()[:3] for row in rows] == [["The", name, "40"] for name in ("base", "same", "moe")]
    assert len({row.index(" 40") for row in rows}) == 1
    assert "*" in rows[2]
    assert "*" not in rows[0]


def test_a_single_model_is_told_with_its_intervals() -> None:
    result = compare([contestant("moe", ["oh no that", "how lovely"] * 4)], [Lengths()], resamples=100)
    lines = text(result).splitlines()
    assert re.fullmatch(r"  shared↑ +[\d.]+ +\[[\d.]+, [\d.]+\]", lines[3])
    assert "differs" not in lines[-1]


def test_a_figure_that_is_missing_is_a_dash(result) -> None:
    result = edited(result, lambda content: content["models"][0]["values"].update(shared=None))
    assert dict(blocks(result)[0].rows)["The base"][1].value == "–"
    assert "Note: something." in text(edited(result, lambda content: content.update(notes=["something"])))


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


def test_a_difference_that_is_nought_as_it_is_shown_is_no_better_however_sure_it_is(result) -> None:
    def nought(content):
        for test in content["tests"]:
            if (test["model"], test["metric"]) == ("moe", "shared"):
                test.update(difference=0.004, p_holm=0.0)

    faint = edited(result, nought)
    assert not dict(blocks(faint)[0].rows)["The moe"][1].significant
    told = summary(EvaluationResult(**dict(faint), path="x", seconds=1.0, skipped=False))
    assert "better in shared" not in told


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
