import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.server.jobs import Jobs, flags

KEY = "tok-0123456789abcdef"


def ended(jobs: Jobs, root: Path, job_id: str, seconds: float = 30.0):
    gate = threading.Event()
    while (job := next(job for job in jobs.of(root) if job.id == job_id)).is_at_work:
        assert seconds > 0, "it does not end"
        gate.wait(0.05)
        seconds -= 0.05
    return job


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In place of the command: a program that runs its first argument as Python, so that jobs can be of any kind."""
    package = tmp_path / "stand-in" / "efficient_empathy"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import sys, os, time, signal\nexec(sys.argv[1])\n", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))


def test_a_real_command_is_run_and_its_words_and_its_end_are_kept(tmp_path) -> None:
    jobs = Jobs(tmp_path / "state")
    job = jobs.start(tmp_path, ["inspect", "no-such-file.csv"], tmp_path)
    assert job.title == "inspect"
    assert job.state == "running"
    job = ended(jobs, tmp_path, job.id)
    assert (job.state, job.code) == ("failed", 1)
    assert "no-such-file.csv is not found" in job.last_line
    assert jobs.output(tmp_path, job.id).strip() == job.last_line
    assert [one.id for one in Jobs(tmp_path / "state").of(tmp_path)] == [job.id]
    assert jobs.of(tmp_path / "other") == []
    with pytest.raises(UserError, match="no such job of this run"):
        jobs.output(tmp_path / "other", job.id)


@pytest.mark.usefixtures("program")
def test_a_key_reaches_the_process_of_its_run_alone_and_no_file(tmp_path) -> None:
    jobs, root = Jobs(tmp_path / "state"), tmp_path / "run"
    jobs.remember_key(root, "OPENAI_API_KEY", KEY)
    ask = f"print(os.environ.get('OPENAI_API_KEY', 'none') == '{KEY[::-1]}'[::-1])"
    assert ended(jobs, root, jobs.start(root, [ask]).id).last_line == "True"
    assert ended(jobs, tmp_path, jobs.start(tmp_path, [ask]).id).last_line == "False"
    jobs.move(root, tmp_path / "renamed")
    assert ended(jobs, tmp_path / "renamed", jobs.start(tmp_path / "renamed", [ask]).id).last_line == "True"
    for path in (tmp_path / "state").rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()
    assert (tmp_path / "state" / "jobs").stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("program")
def test_one_job_at_a_time_works_on_a_run_and_a_second_stop_kills_it(tmp_path) -> None:
    jobs = Jobs(tmp_path / "state")
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    job = jobs.start(tmp_path, [deaf])
    with pytest.raises(UserError, match="is at work already: wait for its end, or stop it first"):
        jobs.start(tmp_path, ["print(1)"])
    gate = threading.Event()
    while "deaf" not in jobs.output(tmp_path, job.id):
        gate.wait(0.02)
    assert jobs.stop(tmp_path, job.id).state == "stopping"
    assert next(iter(jobs.of(tmp_path))).state == "stopping"
    jobs.stop(tmp_path, job.id)
    job = ended(jobs, tmp_path, job.id)
    assert (job.state, job.code) == ("stopped", -signal.SIGKILL)
    with pytest.raises(UserError, match="has ended already"):
        jobs.stop(tmp_path, job.id)


@pytest.mark.usefixtures("program")
def test_a_job_outlives_its_studio_and_the_next_one_finds_it_and_can_stop_it(tmp_path) -> None:
    script = (
        "import sys; from pathlib import Path; from efficient_empathy.studio.server.jobs import Jobs; "
        "print(Jobs(Path(sys.argv[1])).start(Path(sys.argv[2]), ['time.sleep(60)'], Path(sys.argv[2])).id)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, tmp_path / "state", tmp_path]
    job_id = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    next_studio = Jobs(tmp_path / "state")
    (job,) = next_studio.of(tmp_path)
    assert (job.id, job.state) == (job_id, "running")
    next_studio.stop(tmp_path, job_id)
    assert ended(next_studio, tmp_path, job_id).state == "stopped"


@pytest.mark.usefixtures("program")
def test_what_a_terminal_would_obey_is_shown_as_text(tmp_path) -> None:
    jobs = Jobs(tmp_path)
    job = jobs.start(tmp_path, ["print('a\\rb \\x1b[31mred\\x1b[0m \\x07'); print('Next: efficient-empathy x')"])
    assert ended(jobs, tmp_path, job.id).last_line == "b red \\x07"


def test_flags_leave_out_what_is_not_there_and_keep_nought() -> None:
    values = {"--a": None, "--b": "", "--c": False, "--d": True, "--e": 0, "--f": ["x=1", "y=2"], "--g": "--h"}
    assert flags(values) == ["--d", "--e=0", "--f=x=1", "--f=y=2", "--g=--h"]
