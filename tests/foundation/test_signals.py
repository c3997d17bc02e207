import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import sys, time
from pathlib import Path
from efficient_empathy.foundation.run.files import atomic
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.foundation.signals import end_in_order
end_in_order()
run = Workspace(Path(sys.argv[1])).create()
with run.lock(), atomic(run.report) as path:
    path.write_text("half")
    try:
        print("writing", flush=True)
        time.sleep(30)
    finally:
        if len(sys.argv) > 2:
            print("ending", flush=True)
            time.sleep(30)
"""


def writing(run, *arguments: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, run, *arguments], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    assert process.stdout.readline() == "writing\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_stage_without_calls_leaves_nothing_half_written(tmp_path, number) -> None:
    process = writing(tmp_path / "run")
    process.send_signal(number)
    process.communicate()
    assert process.returncode
    assert [path.name for path in (tmp_path / "run").iterdir()] in ([".lock"], [])


def test_a_second_signal_ends_it_at_once(tmp_path) -> None:
    process = writing(tmp_path / "run", "slow to end")
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM


def test_what_a_killed_process_left_is_swept_wherever_in_the_run_it_lies(tmp_path) -> None:
    process = writing(tmp_path / "run")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    (leftover,) = (tmp_path / "run").glob(".*.tmp")
    deep = tmp_path / "run" / "experts" / "one"
    deep.mkdir(parents=True)
    (deep / leftover.name).mkdir()
    (deep / leftover.name / "shard").touch()
    process = writing(tmp_path / "run")
    assert not leftover.exists()
    assert list(deep.iterdir()) == []
    process.terminate()
    process.communicate()
