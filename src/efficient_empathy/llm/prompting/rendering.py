"""Chat templates, which come with models and are programs: rendered in a process of their own, within bounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

LONGEST_TEMPLATE = 500_000
"""Characters; the longest of well-known models have 20,000."""
SECONDS = 3
"""Of the processor, for one text."""
_ENVIRONMENT = ("PATH", "SYSTEMROOT", "TZ")
_CHILD = Path(__file__).with_name("template_child.py")


class TemplateFaultError(ValueError):
    """Why a template gives no text."""


def render_chat(template: str, messages: Sequence[Mapping[str, str]], **variables: Any) -> str:
    """The text of messages by a chat template, as transformers has it. Raises `TemplateFaultError`."""
    if len(template) > LONGEST_TEMPLATE:
        raise TemplateFaultError(f"it is {len(template):,} characters long: {LONGEST_TEMPLATE:,} are the most")
    return _process(template, os.getpid()).render({"messages": list(messages), **variables})


@lru_cache(maxsize=4)
def _process(template: str, _owner: int) -> _TemplateProcess:
    """The process for a template; a forked process has its own."""
    return _TemplateProcess(template)


class _TemplateProcess:
    """Renders one template; started when it is first needed, and anew after one that was ended."""

    def __init__(self, template: str) -> None:
        self._template = template
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def render(self, variables: Mapping[str, Any]) -> str:
        with self._lock:
            if self._child is None:
                self._start()
            text: str = self._ask(variables)["text"]
        return text

    def _start(self) -> None:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self._child = subprocess.Popen(
            [sys.executable, "-I", str(_CHILD), str(SECONDS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        self._ask({"template": self._template})

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        child = self._child
        assert child is not None
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except BrokenPipeError:
            line = b""
        reply: dict[str, Any] = (
            json.loads(line) if line else {"error": f"it takes longer than {SECONDS} s, or more than 1 GB of memory"}
        )
        if not line or ("error" in reply and "template" in request):
            self._end(child)
        if "error" in reply:
            raise TemplateFaultError(reply["error"])
        return reply

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        self._child = None
        with child:
            child.kill()

    def __del__(self) -> None:
        if self._child is not None:
            self._end(self._child)
