"""`vllm serve` as a child of this process: started when it is first needed, and gone with this process at the latest.

vLLM's own server rather than its engine in this process: its command line and its API are what vLLM documents and
keeps, it renders chats, schemas and log-probabilities as any server that is asked does, it may be installed in an
environment of its own, and a model that takes all memory takes the server alone.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp

from efficient_empathy.foundation.errors import UserError, redact
from efficient_empathy.llm.errors import Draining, ServerLost
from efficient_empathy.llm.vllm import keeper

PROGRAM = "vllm"
POLL_S = 0.25
END_S = 3.0
"""A server that is about to end has ended by then."""
_ERROR = re.compile(r"(?:^|\s)((?:[\w.]+\.)?\w*(?:Error|Exception|Interrupt): .+|.+: error: .+)")
_CONSEQUENCE = "Engine core initialization failed"
_MOST_WORDS = 300
_TAIL = 256 * 1024
"""Bytes of a log that are looked through."""


class VllmServer:
    """One server on the loopback interface of this machine, which nobody else's process can ask.

    `options` are those of `vllm serve` behind the model. The port is this process's from the beginning on.
    """

    def __init__(self, model: str, options: Sequence[str]) -> None:
        self.model, self._options = model, options
        self.key = secrets.token_hex(16)
        self._port = _reserve_port()
        self.url = f"http://127.0.0.1:{self._port.getsockname()[1]}"
        self._keeper: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile(prefix="ee-vllm-")  # noqa: SIM115 (closed with the server)
        self._start: asyncio.Task[None] | None = None
        self._is_draining = False

    async def ready(self, notify: Callable[[str], None]) -> None:
        """Until it answers; the first call starts it, and says so.

        Raises `UserError` where it does not come up, `ServerLost` where it is gone since, `Draining` after `drain`.
        """
        if self._start is None:
            self._start = asyncio.create_task(self._come_up(notify))
        await asyncio.shield(self._start)

    async def check(self) -> None:
        """Raise `ServerLost` if it has ended, or is about to."""
        if self._keeper is None or self._start is None or not self._start.done():
            return
        for _ in range(int(END_S / POLL_S)):
            if _is_over(self._keeper):
                raise ServerLost(f"vLLM has ended on {socket.gethostname()} ({self._reason()})")
            if await self._answers():
                return
            await asyncio.sleep(POLL_S)

    def drain(self) -> None:
        """Wait no longer for it to come up."""
        self._is_draining = True

    async def close(self) -> None:
        """End it."""
        if self._keeper is not None:
            with self._keeper as keeper:
                assert keeper.stdin is not None
                keeper.stdin.close()
                await asyncio.to_thread(_is_over, keeper, wait=True)
        self._log.close()
        self._port.close()

    async def _come_up(self, notify: Callable[[str], None]) -> None:
        self._keeper = await asyncio.to_thread(self._launch)
        notify(f"Starting vLLM with {self.model}, which may take some minutes.")
        while not await self._answers():
            if self._is_draining:
                raise Draining
            if _is_over(self._keeper):
                raise UserError(
                    f"vLLM did not start on {socket.gethostname()} ({self._reason()}): its log is {self._keep_log()}"
                )
            await asyncio.sleep(POLL_S)

    def _launch(self) -> subprocess.Popen[bytes]:
        program = find_program()
        if program is None:
            raise UserError(
                f"there is no vLLM on {socket.gethostname()}: install it there, in an environment of its own perhaps, "
                "whose program vllm is on the PATH; or serve the model yourself, and name the server: --judge "
                "openai:MODEL@http://HOST:8000/v1"
            )
        port = str(self._port.getsockname()[1])
        serve = [
            program, "serve", self.model, "--host", "127.0.0.1", "--port", port, "--disable-uvicorn-access-log",
            *self._options,
        ]  # fmt: skip
        return subprocess.Popen(
            [sys.executable, keeper.__file__, *serve],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
            env={**os.environ, "VLLM_API_KEY": self.key, "VLLM_NO_USAGE_STATS": "1"},
        )

    async def _answers(self) -> bool:
        limit = aiohttp.ClientTimeout(POLL_S * 8)
        try:
            async with aiohttp.ClientSession(timeout=limit) as session, session.get(f"{self.url}/health") as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    def _reason(self) -> str:
        """The last error of its log that is no mere consequence of another."""
        size = os.fstat(self._log.fileno()).st_size
        end = os.pread(self._log.fileno(), _TAIL, max(0, size - _TAIL))
        lines = end.decode("utf-8", "replace").splitlines()
        errors = [match[1] for line in lines if (match := _ERROR.search(line)) and _CONSEQUENCE not in line]
        return redact(" ".join(errors[-1].split()))[:_MOST_WORDS] if errors else "killed, or without a word"

    def _keep_log(self) -> str:
        """The log as a file, for whoever looks for the cause."""
        handle, name = tempfile.mkstemp(prefix="ee-vllm-", suffix=".log")
        with os.fdopen(handle, "wb") as copy:
            self._log.seek(0)
            shutil.copyfileobj(self._log, copy)
        return name


def _is_over(kept: subprocess.Popen[bytes], *, wait: bool = False) -> bool:
    """Whether a keeper and its server are gone; it never writes anything."""
    assert kept.stdout is not None
    return bool(select.select([kept.stdout], [], [], None if wait else 0)[0])


def find_program() -> str | None:
    """vLLM's program: that of this environment, else the one on the PATH."""
    here = str(Path(sys.executable).parent)
    return shutil.which(PROGRAM, path=os.pathsep.join((here, os.environ.get("PATH", os.defpath))))


def _reserve_port() -> socket.socket:
    """A socket that keeps a free port from everybody but a server that shares it, as vLLM does."""
    port = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    port.bind(("127.0.0.1", 0))
    return port
