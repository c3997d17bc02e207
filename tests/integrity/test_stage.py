"""`check` on runs that real stages made, and that were then cut, edited, emptied, copied, killed and left behind."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

import efficient_empathy as ee
from efficient_empathy.analytics import analytics
from efficient_empathy.analytics.settings import AnalyticsSettings
from efficient_empathy.cli import app
from efficient_empathy.evaluation.robustness import sweep, tune
from efficient_empathy.evaluation.robustness.settings import SweepSettings, TuneSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.integrity import CheckResult, check
from efficient_empathy.report import report
from efficient_empathy.scoring import Ledger
from efficient_empathy.scoring.ledger import write_part
from efficient_empathy.selection import select
from samples import FORM


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "judged.json"
    rows = [
        {"context": f"story {i}", "response": f"oh {i}", "evaluation": FORM.format(i % 11, i % 7)} for i in range(66)
    ]
    path.write_text(json.dumps(rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every stage that needs no model."""
    root = tmp_path_factory.mktemp("runs") / "made"
    ee.score(source, root, judge="replay", quiet=True)
    workspace = Workspace(root)
    select(workspace)
    sweep(workspace, SweepSettings(alphas="4:6"))
    tune(workspace, TuneSettings(target="share=0.6"))
    analytics(workspace, AnalyticsSettings(resamples=0))
    report(workspace)
    return root


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Workspace:
    """A copy, as `cp -r` makes it: the same bytes, other times."""
    shutil.copytree(made, tmp_path / "run", copy_function=shutil.copyfile)
    return Workspace(tmp_path / "run")


def faults(result: CheckResult) -> dict[str, str]:
    return {problem.path: problem.fault for problem in result.problems}


def in_place(path: Path, change: Callable[[bytes], bytes]) -> None:
    """An edit that leaves size and time as they were."""
    status, content = path.stat(), change(path.read_bytes())
    assert len(content) == status.st_size
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 0x55 for byte in content[middle : middle + 4]) + content[middle + 4 :]


def flip_table(path: Path, table: str) -> None:
    """Flip four bits each in the first bytes of a table's root page."""
    with closing(sqlite3.connect(path)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    content, start = path.read_bytes(), (page - 1) * size
    path.write_bytes(content[:start] + bytes(b ^ 0x55 for b in content[start : start + 4]) + content[start + 4 :])


def test_a_run_and_its_copy_are_whole(made: Path, run: Workspace) -> None:
    for root in (made, run.root):
        done = CliRunner().invoke(app, ["check", str(root), "--json"])
        assert done.exit_code == 0, done.output
        answer = json.loads(done.stdout)
        assert (answer["whole"], answer["problems"], answer["judgements"]) == (True, [], 66)
        assert answer["files"] == len(Workspace(root).manifest().artifacts) > 15
    told = CliRunner().invoke(app, ["check", str(run.root)])
    assert told.stdout.startswith(f"{run.root} is whole: ")
    assert ee.check(run.root, quiet=True).whole


def test_every_file_that_a_stage_wrote_is_checked_in_every_way(run: Workspace) -> None:
    def emptied(path: Path) -> None:
        path.write_bytes(b"")

    def cut(path: Path) -> None:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def edited(path: Path) -> None:
        in_place(path, flipped)

    def replaced(path: Path) -> None:
        path.unlink()
        path.mkdir()

    for number, key in enumerate(run.manifest().artifacts):
        damage = (emptied, cut, edited, replaced, Path.unlink)[number % 5]
        path = run.root / key
        content, status = path.read_bytes(), path.stat()
        damage(path)
        found = faults(check(run))
        assert found.keys() == {key}, (damage.__name__, key, found)
        if path.is_dir():
            path.rmdir()
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert check(run).whole


def test_the_commands_that_it_names_make_the_run_whole_again(run: Workspace, source: Path) -> None:
    (run.selection / "sensibility.jsonl").write_text("")
    run.samples.write_bytes(run.samples.read_bytes()[:500])
    (run.sweep / "sweep.json").unlink()
    run.report.write_text("mine")
    problems = check(run).problems
    assert [problem.path for problem in problems] == [
        "samples.parquet", "selection/sensibility.jsonl", "sweep/sweep.json", "report.html",
    ]  # fmt: skip
    for problem in problems:
        words = problem.remedy.replace("SOURCE", str(source)).split()
        extra = ["--judge", "replay"] if words[1] == "score" else ["--grid", "alpha=4:6"] if words[1] == "sweep" else []
        done = CliRunner().invoke(app, [*words[1:], *extra])
        assert done.exit_code == 0, done.output
    left = check(run).problems
    assert not left, [problem.text() for problem in left]


def test_after_a_check_no_command_trusts_what_it_found(run: Workspace) -> None:
    select(run)
    in_place(run.samples, flipped)
    assert select(run).skipped  # size and time are as they were
    assert faults(check(run)) == {"samples.parquet": "has changed since it was written"}
    with pytest.raises(UserError, match=r"samples\.parquet has changed since it was written"):
        select(run)
    in_place(run.samples, flipped)
    assert select(run).skipped


def test_a_copy_is_read_once(run: Workspace) -> None:
    assert select(run).skipped
    known = (run.root / ".hashes.json").read_text()
    file_hash.__globals__["_hash_at"].cache_clear()
    assert select(run).skipped
    assert (run.root / ".hashes.json").read_text() == known
    assert file_hash.__globals__["_hash_at"].cache_info().misses == 0


def test_what_was_made_from_an_earlier_file_is_named_with_its_command(run: Workspace) -> None:
    select(run, alpha=3)
    result = check(run)
    stale = {problem.path: problem for problem in result.problems}
    assert stale["report.html"].fault == "was made from an earlier selection/assignments.parquet"
    assert stale["report.html"].remedy == f"efficient-empathy report --run {run.root}"
    assert set(stale) == {"analytics/analytics.json", "report.html"}
    analytics(run, AnalyticsSettings(resamples=0))
    report(run)
    assert check(run).whole


def test_a_ledger_that_lost_or_won_judgements_is_told(run: Workspace, source: Path) -> None:
    whole = run.ledger.read_bytes()
    with sqlite3.connect(run.ledger) as database:
        database.execute("DELETE FROM judgements WHERE id <= 5")
    database.close()
    assert faults(check(run)) == {"scores.parquet": "has 5 rows that are not what ledger.sqlite holds"}
    run.ledger.write_bytes(whole)
    flip_table(run.ledger, "judgements")
    (path, fault), *_ = faults(check(run)).items()
    assert path == "ledger.sqlite"
    assert fault.startswith("is broken (")
    run.ledger.unlink()
    assert "every judgement would be asked for again" in faults(check(run))["ledger.sqlite"]


def test_judgements_in_parts_are_checked_as_those_in_the_database(run: Workspace) -> None:
    with Ledger(run.ledger) as ledger:
        (spec,), judgements = ledger.specs(), list(ledger.judgements())
        part = ledger.parts_folder / write_part(ledger.parts_folder, spec, judgements)
    run.ledger.unlink()
    with Ledger(run.ledger):
        pass  # takes them in
    result = check(run)
    assert result.whole
    assert result.judgements == len(judgements)
    content = part.read_bytes()
    part.write_bytes(content[:-1])
    key = f"ledger.parts/{part.name}"
    assert faults(check(run)) == {key: "has changed since it was written"}
    part.unlink()
    assert faults(check(run)) == {key: f"is missing, with {len(judgements)} judgements"}
    part.write_bytes(content)
    assert check(run).whole


def test_a_rubric_that_is_not_what_it_was(run: Workspace) -> None:
    (rubric,) = run.rubrics.iterdir()
    rubric.write_text(rubric.read_text() + "# mine\n")
    assert check(run).whole  # what it asks is the same
    rubric.write_text(rubric.read_text().replace(" the ", " a "))
    assert list(faults(check(run))) == [f"rubrics/{rubric.name}"]


KILLED = """
import os, sys
from pathlib import Path
from efficient_empathy.foundation.run.files import atomic
with atomic(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_command_left_is_named(run: Workspace) -> None:
    run.begin("select", [run.assignments])
    run.generations.mkdir()
    (run.generations / ".moe.partial.jsonl").write_text("{}\n")
    (run.root / "cluster" / "abc").mkdir(parents=True)
    (run.root / "cluster" / "abc" / "7.jsonl").write_text("{}\n")
    (run.experts / ".sensibility.work").mkdir(parents=True)
    subprocess.run([sys.executable, "-c", KILLED, run.report], check=False)
    (temporary,) = run.root.glob(".report.html.*.tmp")
    found = {problem.path: problem.text() for problem in check(run).problems}
    assert found[temporary.name] == f"{temporary.name} is left over from a write that was killed: delete it"
    assert "selection was not finished: run `efficient-empathy select" in found["selection"]
    assert f"generate --run {run.root} --model moe" in found["generations/.moe.partial.jsonl"]
    assert f"score SOURCE --run {run.root} --on ray" in found["cluster/abc/7.jsonl"]
    assert f"train --run {run.root} --subset sensibility" in found["experts/.sensibility.work"]


def test_a_manifest_that_is_lost_is_one_problem(run: Workspace) -> None:
    for content in ("{", "[]", '{"stages": {}, "artifacts": {"../x": {"stage": "read"}}}'):
        run.manifest_path.write_text(content)
        (problem,) = check(run).problems
        assert problem.path == "manifest.json"
        assert "is no manifest" in problem.fault
    run.manifest_path.unlink()
    (problem,) = check(run).problems
    assert "no file of the run can be verified" in problem.fault
    done = CliRunner().invoke(app, ["check", str(run.root)])
    assert done.exit_code == 1
    assert done.stdout.startswith("manifest.json is missing")


def test_what_is_no_run_is_an_error(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError, match="is no run's folder"):
            check(Workspace(root))


HOLDER = """
import sys
from efficient_empathy.foundation.run.workspace import Workspace
with Workspace(sys.argv[1]).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_that_is_worked_on_is_checked_with_a_note(run: Workspace) -> None:
    command = [sys.executable, "-c", HOLDER, run.root]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert check(run).notes == ("another process is working on the run: check it again when that has ended",)
        other.communicate()
    assert check(run).notes == ()


def test_a_record_of_another_version_is_named_with_what_makes_it_again(run: Workspace) -> None:
    path = run.sweep / "sweep.json"
    path.write_text(path.read_text("utf-8").replace('"version": ', '"version": 9', 1), "utf-8")
    manifest = json.loads(run.manifest_path.read_text("utf-8"))
    artifact = manifest["artifacts"]["sweep/sweep.json"]  # as a program of that version would have written it
    artifact |= {"size": path.stat().st_size, "sha256": file_hash(path), "mtime_ns": path.stat().st_mtime_ns}
    manifest["stages"]["select"]["version"] = 99
    run.manifest_path.write_text(json.dumps(manifest), "utf-8")
    problems = {(problem.stage, problem.path): problem for problem in check(run).problems}
    assert {("sweep", "sweep/sweep.json"), ("select", "manifest.json")} < set(problems)
    assert "cannot read (it has version 9" in problems["sweep", "sweep/sweep.json"].fault
    assert problems["sweep", "sweep/sweep.json"].remedy.startswith("efficient-empathy sweep --run ")
    assert "version 99 and this program reads version" in problems["select", "manifest.json"].fault
