"""Commands of ours in processes of their own, forked from one that has imported the program: each starts at once.

They are killed, interrupted and read as those of `subprocess` are. What is looked up by its command line, or inherits
more than the environment, is started by `subprocess` all the same.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import efficient_empathy

SOURCE = Path(efficient_empathy.__file__).parent
IMPORTED = [
    *sorted(".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in SOURCE.rglob("[!_]*.py")),
    "transformers.models.llama.modeling_llama",  # these take seconds, where they are
    "peft",
    "trl.trainer.sft_trainer",
]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(IMPORTED)


COMMAND_LINE = "from efficient_empathy.cli import app\napp()"


class ForkedCommand:
    """`efficient-empathy` with arguments, as far as tests need a `subprocess.Popen` with pipes of text.

    `before` is Python that runs first in the process; `program`, if it is given, runs in place of the command line.
    """

    def __init__(
        self,
        *arguments: object,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        before: str = "",
        program: str = COMMAND_LINE,
    ) -> None:
        (out, out_end), (err, err_end) = (_CONTEXT.Pipe(duplex=False) for _ in range(2))
        where, environment = cwd or Path.cwd(), dict(os.environ if env is None else env)
        told = (list(map(str, arguments)), where, environment, f"{before}\n{program}", out_end, err_end)
        self._process = _CONTEXT.Process(target=_run, args=told, daemon=True)
        self._process.start()
        self.pid = self._process.pid
        self.stdout, self.stderr = (os.fdopen(os.dup(end.fileno()), encoding="utf-8") for end in (out, err))
        for end in (out, out_end, err, err_end):
            end.close()
        self._said: tuple[str, str] | None = None

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def runs_for(self, seconds: float) -> bool:
        """Whether it still runs after so many seconds."""
        self._process.join(seconds)
        return self.returncode is None

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it still says on its outputs, once it has ended."""
        if self._said is None:
            with ThreadPoolExecutor(2) as pool, self.stdout, self.stderr:
                said = [pool.submit(stream.read) for stream in (self.stdout, self.stderr)]
                self._process.join(timeout)
                if self.returncode is None:
                    self.kill()
                    raise subprocess.TimeoutExpired("efficient-empathy", timeout or 0)
                self._said = said[0].result(), said[1].result()
        return self._said


def run_forked(command: Sequence[str | Path], *, cwd: Path, env: dict[str, str], **_: Any) -> CompletedProcess[str]:
    """`subprocess.run` of a module (`python -m`) or a script, for programs that would start Python."""
    python, *words = map(str, command)
    assert python == sys.executable
    if words[0] == "-m":
        arguments, start = words[2:], f"run_module({words[1]!r}, run_name='__main__', alter_sys=True)"
    else:
        arguments, start = words[1:], f"run_path({words[0]!r}, run_name='__main__')"
    process = ForkedCommand(*arguments, cwd=cwd, env=env, program=f"import runpy\nrunpy.{start}")
    out, err = process.communicate(120)
    return CompletedProcess(command, process.returncode or 0, out, err)


def _run(
    arguments: list[str], cwd: Path, environment: dict[str, str], program: str, out: Connection, err: Connection
) -> None:
    for number, end in ((1, out), (2, err)):
        os.dup2(end.fileno(), number)
        end.close()
    # What was open before may have been a file, and these are pipes.
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", encoding="utf-8", closefd=False, buffering=1)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["efficient-empathy", *arguments]
    exec(program, {"__name__": "__main__"})
