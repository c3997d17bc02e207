"""Commands run on a real terminal, and what of their output the terminal would obey."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

RUN = """
import json, sys
from efficient_empathy.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["efficient-empathy", *arguments]
    try:
        main()
    except SystemExit:
        pass
"""
OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\r")
"""Colours, the cursor of a bar, its way back."""
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def on_a_terminal(code: str, *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """What Python code prints on a terminal of its own."""
    terminal, end = pty.openpty()
    variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **(environment or {})}
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, cwd=cwd, env=variables):
        os.close(end)
        parts = []
        try:
            while part := os.read(terminal, 65536):
                parts.append(part)
        except OSError:  # how a terminal ends whose other side is gone
            pass
    os.close(terminal)
    return b"".join(parts).decode()


def commands_on_a_terminal(commands: Sequence[Sequence[str]], cwd: Path) -> str:
    """What commands print, one after the other in one process."""
    return on_a_terminal(RUN, json.dumps(commands), cwd=cwd)


def obeyed(output: str) -> list[str]:
    """What of an output a terminal would obey, but for what a progress bar needs."""
    return OBEYED.findall(OWN.sub("", output))
