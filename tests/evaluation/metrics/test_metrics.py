import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from efficient_empathy.cli import app
from efficient_empathy.evaluation.metrics import BUNDLED, METRICS, choose
from efficient_empathy.evaluation.settings import EvaluationSettings
from efficient_empathy.foundation.errors import UserError

PACKAGE = '''
import numpy as np
from efficient_empathy.evaluation.metric import Figure, Metric, MetricOptions, Sums


class Questions:
    """How many responses ask something."""

    name = "questions"
    figures = (Figure("asking", "higher", "responses with a question mark, in percent", 1),)
    columns = ()
    about = {"mark": "?"}

    def __init__(self, options: MetricOptions) -> None:
        pass

    def measure(self, rows, model=None):
        asks = rows["prediction"].str.contains(r"\\?").to_numpy()
        counts = np.column_stack([asks, np.ones(len(rows))]).astype(float)
        return Sums(counts, lambda sums: {"asking": 100 * sums[:, 0] / sums[:, 1]})


class Clash(Questions):
    name = "clash"


def misnamed(options):
    return Questions(options)


def broken(options):
    raise RuntimeError("out of order")
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with a metric, one that has the same figure, and two mistakes."""
    site = tmp_path / "site"
    info = site / "asking_metrics-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "asking_metrics.py").write_text(PACKAGE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: asking-metrics\nVersion: 1.0\n")
    names = {"questions": "Questions", "clash": "Clash", "misnamed": "misnamed", "broken": "broken"}
    lines = "".join(f"{name} = asking_metrics:{value}\n" for name, value in names.items())
    (info / "entry_points.txt").write_text(f"[efficient_empathy.metrics]\n{lines}")
    monkeypatch.syspath_prepend(str(site))
    yield
    sys.modules.pop("asking_metrics", None)


@pytest.mark.usefixtures("package")
def test_the_command_uses_the_metric_of_an_installed_package(tmp_path: Path) -> None:
    (tmp_path / "ours.txt").write_text("how so ?\nfine .\nwhy ?\nand then ?\n")
    (tmp_path / "theirs.txt").write_text("ok .\nok .\nwhat ?\nok .\n")
    (tmp_path / "references.txt").write_text("a\nb\nc\nd\n")
    options = ["evaluate", "--metrics", "texts,questions", "--references", str(tmp_path / "references.txt")]
    for name in ("ours", "theirs"):
        options += ["--predictions", str(tmp_path / f"{name}.txt")]
    done = CliRunner().invoke(app, [*options, "--resamples", "200", "--json", "-o", str(tmp_path / "all.json")])
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert {name: values["asking"] for name, values in content["metrics"].items()} == {"ours": 75, "theirs": 25}
    assert ("theirs", "asking") in {(test["model"], test["metric"]) for test in content["tests"]}
    described = json.loads((tmp_path / "all.json").read_text())
    assert described["metrics"]["asking"]["about"] == "responses with a question mark, in percent"
    assert described["about"]["questions"] == {"mark": "?"}
    shown = CliRunner().invoke(app, [*options, "--resamples", "0"])
    assert "asking↑" in shown.stdout
    assert "mark: ?" in shown.stdout


@pytest.mark.usefixtures("package")
def test_a_metric_that_a_package_gets_wrong_names_the_package() -> None:
    assert METRICS.names() == (*BUNDLED, "broken", "clash", "misnamed", "questions")
    with pytest.raises(UserError, match="the metric broken of the package asking-metrics cannot be made: out of order"):
        choose(["broken"])
    with pytest.raises(UserError, match="the metric misnamed of the package asking-metrics is none"):
        choose(["misnamed"])
    with pytest.raises(UserError, match="questions and clash both have a figure 'asking'"):
        choose(["questions", "clash"])


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="there is no metric 'blue': choose one of official, standard, texts"):
        choose(["blue"])


def test_every_bundled_name_stands_in_the_help() -> None:
    said = str(EvaluationSettings.model_fields["metrics"].description)
    assert all(name in said for name in BUNDLED)
