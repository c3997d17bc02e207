"""A stand-in of the program `vllm`, as far as its command line and its server are documented: no model, no GPU.

It is a program of its own on the PATH: `vllm serve MODEL --host … --port … --served-model-name …`, with its key in
`VLLM_API_KEY`, `/health`, and chat completions, answered from the text alone. Two texts are its undoing: at "end of
all" it dies the first time that anybody asks, at "too large" as a model's name it does not come up.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

LOST = "Engine core proc EngineCore died unexpectedly."
FAILURE = """\
(EngineCore pid=31) ERROR 11-30 01:37:31 [core.py:866] Traceback (most recent call last):
(EngineCore pid=31) ERROR 11-30 01:37:31 [core.py:866] torch.OutOfMemoryError: CUDA out of memory. Tried 2 GiB.
(APIServer pid=29) Traceback (most recent call last):
(APIServer pid=29)   File "/opt/vllm/entrypoints/cli/main.py", line 120, in main
(APIServer pid=29) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
"""


def install(folder: Path) -> Path:
    """The program, in a new folder for the PATH. Each start adds its arguments to `starts.jsonl` there."""
    folder.mkdir()
    program = folder / "vllm"
    lines = [f"#!{sys.executable}", "import sys", f"sys.path[:0] = {[str(Path(__file__).parent)]!r}"]
    lines += ["import vllm_program", f"vllm_program.main({str(folder)!r})"]
    program.write_text("\n".join(lines))
    program.chmod(0o755)
    return folder


def starts(folder: Path) -> list[dict[str, Any]]:
    """How the program was started: its model, its options, and its process."""
    path = folder / "starts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def requests(folder: Path) -> list[str]:
    """The last messages of all requests."""
    path = folder / "requests.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def scores_of(text: str) -> tuple[int, int]:
    """Sensibility and rationality, of the last message's text."""
    digest = hashlib.sha256(text.encode()).digest()
    return digest[0] % 11, digest[1] % 11


def _append(path: Path, content: object) -> None:
    with path.open("a") as file:
        file.write(json.dumps(content) + "\n")


def main(folder: str) -> None:
    """Serve, until somebody ends it."""
    command, model, *words = sys.argv[1:]
    assert command == "serve"
    flags = ("--disable-uvicorn-access-log",)
    rest = [word for word in words if word not in flags]
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    _append(Path(folder) / "starts.jsonl", {"model": model, "options": options, "pid": os.getpid()})
    if Path(model).name == "too large":
        sys.exit(FAILURE)
    _serve(Path(folder), options)


def _serve(folder: Path, options: dict[str, str]) -> None:
    from aiohttp import web

    from misbehaviours import completion

    async def health(_: web.Request) -> web.Response:
        return web.Response()

    async def complete(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {os.environ['VLLM_API_KEY']}":
            return web.json_response({"error": {"message": "Unauthorized"}}, status=401)
        body = await request.json()
        assert body["model"] == options["--served-model-name"]
        text = body["messages"][-1]["content"]
        _append(folder / "requests.jsonl", text)
        if "end of all" in text and not (folder / "ended").exists():
            (folder / "ended").touch()
            print(f"RuntimeError: {LOST}", file=sys.stderr, flush=True)
            os._exit(1)
        sensibility, rationality = scores_of(text)
        reply = json.dumps({"sensibility": sensibility, "rationality": rationality})
        return web.Response(body=completion(reply), content_type="application/json")

    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_post("/v1/chat/completions", complete)
    web.run_app(app, host=options["--host"], port=int(options["--port"]), reuse_port=True, print=None)
