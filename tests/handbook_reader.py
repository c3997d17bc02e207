"""Someone who follows a page of the handbook to the letter: files written, commands run, Python executed, in order.

A fenced block with a title is a file of that name; `bash` without a title holds commands, `python` a program. They
run in a folder with a user's dialogues; what cannot be run here is parsed, and the test says why (`elsewhere`).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from efficient_empathy.cli import app
from efficient_empathy.recipe import DIALOGUES
from forked_command import ForkedCommand

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
SERVING = ("studio", "serve")
"""Commands that go on until they are interrupted: at the end of the page."""
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that it is (or none), its text."""

    kind: str
    title: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(*match) for match in BLOCK.findall(page.read_text("utf-8"))]


def commands(text: str) -> list[str]:
    """The commands of a block, each on one line, without comments."""
    lines: list[str] = []
    waiting = ""
    for line in text.splitlines():
        waiting += line
        if waiting.endswith("\\"):
            waiting = waiting[:-1]
            continue
        try:
            words = shlex.split(waiting, comments=True)
        except ValueError:  # a quotation that goes on
            waiting += "\n"
            continue
        lines += [re.sub(r"\s+# .*$", "", waiting)] if words else []
        waiting = ""
    assert not waiting, f"a command without an end: {waiting}"
    return lines


def parse(arguments: list[str]) -> None:
    """Read a command line of ours as the program does, and stop there."""
    command, context = typer.main.get_command(app), None
    while True:
        name = "efficient-empathy" if context is None else command.name
        context = command.make_context(name, arguments, parent=context)
        if not hasattr(command, "resolve_command"):
            return
        arguments = [*context._protected_args, *context.args]
        _, command, arguments = command.resolve_command(context, arguments)


class Reader:
    """Follows one page in `folder`.

    `stands_for` has what is put in the place of a text in commands and programs, such as a server's address. By a
    pattern of how commands begin, `less` has what is added to them, to do the same on less; `exits` their exit status,
    where it is a verdict; `before` what a person does first; `elsewhere` why they are parsed and not run. `names` is
    Python before each program.
    """

    def __init__(
        self,
        page: Path,
        folder: Path,
        *,
        stands_for: Mapping[str, str] | None = None,
        less: Mapping[str, str] | None = None,
        exits: Mapping[str, int] | None = None,
        before: Mapping[str, Callable[[Path], object]] | None = None,
        elsewhere: Mapping[str, str] | None = None,
        names: str = "",
    ) -> None:
        self.page, self.folder, self.site = page, folder, folder / "site"
        self.stands_for, self.less, self.exits = dict(stands_for or {}), less or {}, exits or {}
        self.before, self.elsewhere, self.names = before or {}, elsewhere or {}, names
        self.used: set[str] = set()
        """The patterns that a command began with."""
        self._serving: list[ForkedCommand] = []
        for block in blocks(page):
            if block.title:
                (folder / block.title).write_text(block.text, "utf-8")
        if not (folder / "dialogues.jsonl").exists():
            (folder / "dialogues.jsonl").write_bytes(b"".join(dialogue_lines()[:40]))

    def follow(self) -> list[dict[str, Any]]:
        """Run every command and program of the page, in order; what those of ours print as JSON."""
        results = []
        try:
            for block in blocks(self.page):
                if block.title:
                    continue
                if block.kind == "bash":
                    results += [result for line in commands(block.text) if (result := self.run(line)) is not None]
                elif block.kind == "python":
                    self.execute(block.text)
        finally:
            for running in self._serving:
                running.send_signal(signal.SIGINT)
                running.communicate(timeout=60)
        assert [running.returncode for running in self._serving] == [0] * len(self._serving)
        return results

    def run(self, command: str) -> dict[str, Any] | None:
        """One command; it must succeed. What is not run, or not as it stands, is at least parsed as it stands."""
        written = command
        for text, other in self.stands_for.items():
            command = command.replace(text, other)
        for act in self._of(self.before, command):
            act(self.folder)
        is_elsewhere = bool(self._of(self.elsewhere, command))
        if written.startswith("efficient-empathy ") and (is_elsewhere or command != written):
            parse(shlex.split(written)[1:])
        if is_elsewhere:
            return None
        if command.startswith("tail -f "):
            source, command = command.removeprefix("tail -f ").split(" | ")
            return self._ours(shlex.split(command)[1:], source)
        program, *words = shlex.split(command)
        arguments = [
            one for word in words for one in (sorted(map(str, self.folder.glob(word))) if "*" in word else [word])
        ]
        if program == "pip":
            self._install(arguments)
        elif program == "curl":
            subprocess.run([program, "-sf", *arguments], cwd=self.folder, check=True, capture_output=True)
        else:
            assert program == "efficient-empathy", f"{self.page.name}: who runs {command}?"
            return self._serve(arguments) if arguments[0] in SERVING else self._ours(arguments)
        return None

    def execute(self, code: str) -> None:
        """One program; it must end without an error."""
        for text, other in self.stands_for.items():
            code = code.replace(text, other)
        running = ForkedCommand(cwd=self.folder, program=f"{self.names}\n{code}")
        _, err = running.communicate(timeout=120)
        assert running.returncode == 0, (self.page.name, code, err)

    def _ours(self, arguments: list[str], source: str = "") -> dict[str, Any]:
        command = shlex.join(["efficient-empathy", *arguments])
        arguments = [*arguments, *(word for more in self._of(self.less, command) for word in shlex.split(more))]
        before = f"import sys\nsys.path[:0] = {[str(self.folder), str(self.site)]}"
        if source:
            before += f"\nimport os\nos.dup2(os.open({source!r}, os.O_RDONLY), 0)"
        asked = [] if "--json" in arguments else ["--json"]
        running = ForkedCommand(*arguments, *asked, cwd=self.folder, before=before)
        out, err = running.communicate(timeout=120)
        assert running.returncode == sum(self._of(self.exits, command)), (self.page.name, command, err, out)
        result: dict[str, Any] = json.loads(out)
        return result

    def _of(self, table: Mapping[str, Any], command: str) -> list[Any]:
        """What the table has for a command."""
        patterns = [pattern for pattern in table if re.match(f"(efficient-empathy )?{pattern}", command)]
        self.used |= {*patterns}
        return [table[pattern] for pattern in patterns]

    def _serve(self, arguments: list[str]) -> None:
        quiet = ["--no-open"] if arguments[0] == "studio" and "--no-open" not in arguments else []
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        running = ForkedCommand(*arguments, *quiet, "--port", "0", cwd=self.folder, env=environment)
        self._serving.append(running)
        said = ""
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", said)):
            line = running.stdout.readline() or running.stderr.readline()
            assert line, (arguments, said, running.stderr.read())
            said += line
        self.stands_for["http://127.0.0.1:8322" if arguments[0] == "serve" else "http://127.0.0.1:8321"] = found[0]

    def _install(self, arguments: list[str]) -> None:
        if arguments == ["install", "."]:
            options = ("--no-deps", "--no-build-isolation", "--no-index", "--target", self.site)
            subprocess.run([sys.executable, "-m", "pip", "install", "-q", *options, "."], cwd=self.folder, check=True)
            for module in self.folder.glob("*.py"):
                module.unlink()  # what is used from here on is what was installed
            return
        *_, what = arguments
        if own := re.fullmatch(r"(?:efficient-empathy|\.)\[([a-z0-9,]+)\]", what):
            assert {*own[1].split(",")} <= EXTRAS.keys(), f"{self.page.name}: no such extra: {what}"
        else:
            assert what in (ROOT / "constraints.txt").read_text().splitlines(), (
                f"{self.page.name}: {what} is not pinned"
            )


def dialogue_lines() -> list[bytes]:
    """The bundled dialogues, one a line."""
    return (DIALOGUES / "train.jsonl").read_bytes().splitlines(keepends=True)
