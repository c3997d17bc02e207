import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from forked_command import run_forked

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("judge_loop", ["--samples", "64", "--latency", "0.01", "--peers-python", "nowhere"], "× ideal"),
        ("select_ten_million", ["--rows", "5000"], "efficient-empathy"),
        ("start_up", [], "limit 0.15 s"),
        (
            "service",
            ["--seconds", "0.3", "--rounds", "1", "--clients", "2", "--without-peers"],
            "with 99 % within 50 ms",
        ),
        (
            "diversity",
            ["--rows", "300", "--facility-rows", "200", "--large", "0", "--rounds", "1"],
            "| plain numpy loop |",
        ),
        ("hostile_bills", ["--servers", "4", "--processes", "2"], "never above it"),
        ("torture", ["--kills", "6", "--lanes", "1", "--stages", "score,select"], "| all | 7 | 0 |"),
    ],
)
def test_a_benchmark_runs_and_prints_its_ratio(name: str, options: list[str], said: str) -> None:
    arguments = [sys.executable, "-m", f"benchmarks.{name}", *options]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("export_labels", ["--dialogues", "4"], "not run: name its interpreter by --axolotl"),
        ("generation", ["--samples", "2"], "2 of 2 replies the same"),
        ("official_metrics", ["--pairs", "50", "--memory", "0"], "× as fast"),
        ("compose", ["--parameters", "10", "--rounds", "1", "--mergekit", "nowhere"], "× the copy"),
        ("paper_experiment", ["nowhere", "-o", "nowhere", "--tables"], "No seed"),
    ],
)
def test_a_benchmark_that_needs_large_libraries_runs_where_they_are_loaded(
    name: str, options: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setattr(sys, "argv", [name, *options])
    benchmark = importlib.import_module(f"benchmarks.{name}")
    if name == "export_labels":
        monkeypatch.setattr(subprocess, "run", run_forked)  # of TRL, which takes seconds to load
    benchmark.main()
    assert said in capsys.readouterr().out
