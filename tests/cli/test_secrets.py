"""Every command that asks an endpoint: no byte of a key in what it prints, writes, or names to processes it starts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psutil
import pytest
import yaml
from typer.testing import CliRunner

from efficient_empathy.cli import app
from efficient_empathy.foundation.errors import secret_forms
from golden_sets import golden_set
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, error, ok
from prompt_commands import stricter
from proxy_server import ProxyServer
from two_models import run_of_two

SCORES = {"sensibility": 8, "rationality": 2, "naturalness": 2, "coherence": 2, "empathy": 2, "preference": 1}
COUNT = 3
_tests = count(1)
Commands = Callable[[str], list[list[str]]]


class Secrets:
    """Values that no other test has sent, so that nothing else of this process hides them."""

    def __init__(self) -> None:
        number = next(_tests)
        names = ("key", "header", "query", "password")
        self.key, self.header, self.query, self.password = (f"sk-{name}-{os.getpid()}-{number:04}" for name in names)

    def __iter__(self) -> Iterator[str]:
        return iter((self.key, self.header, self.query, self.password))

    @property
    def quoted(self) -> str:
        return f"no {self.key} {self.header} {self.query} {secret_forms(self.key)}"


def scored(url: str) -> list[list[str]]:
    where = ["--run", "run", "--judge", "openai", "--model", "gpt-4o-mini", "--base-url", url, *HEADER]
    return [["score", "chat.jsonl", *where], ["report", "--run", "run"], ["replies", "--run", "run"]]


HEADER = ["--header", "x-team=MY_HEADER", "--max-attempts", "1"]
COMMANDS: dict[str, Commands] = {
    "score": scored,
    "cascade": lambda url: [
        ["cascade", "chat.jsonl", "--run", "run", "--error", "0.9", "--confidence", "0.51", "--model", "gpt-4o-mini",
         "--base-url", url, *HEADER],
    ],
    "refresh": lambda url: [
        ["score", "chat.jsonl", "--run", "run"],
        ["refresh", "--run", "run", "--which", "all", "--judge", f"openai:gpt-4o-mini@{url}", *HEADER],
        ["agreement", "run"],
        ["report", "--run", "run"],
    ],
    "run": lambda url: [
        ["run", "recipe.yaml", "--set", f"score.base_url={url}", "--set", "score.headers={x-team: MY_HEADER}"],
    ],
    "generate --run": lambda url: [
        ["generate", "--run", "two", "--model", "gpt-4o-mini", "--base-url", url, "--part", "all", *HEADER],
        ["report", "--run", "two"],
    ],
    "generate --source": lambda url: [
        ["generate", "--source", "chat.jsonl", "-o", "out.parquet", "--model", "gpt-4o-mini", "--base-url", url,
         *HEADER],
    ],
    "evaluate --judge": lambda url: [
        ["evaluate", "--run", "two", "--metrics", "quality", "--judge", f"openai:gpt-4o-mini@{url}", *HEADER],
    ],
    "pairwise": lambda url: [
        ["pairwise", "--run", "two", "--a", "moe", "--b", "base", "--model", "gpt-4o-mini", "--base-url", url, *HEADER],
    ],
    "prompts test": lambda url: [
        ["prompts", "test", "golden", "--judge", f"openai:gpt-4o-mini@{url}", "-k", "2", "--junit", "j.xml",
         "--markdown", "m.md", *HEADER],
        ["prompts", "list"],
    ],
    "prompts compare": lambda url: [
        ["prompts", "compare", "empathy", "stricter.yaml", "--judge", f"openai:gpt-4o-mini@{url}", "--samples",
         "chat.jsonl", *HEADER],
    ],
}  # fmt: skip


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Secrets:
    """What to look for; the folder at hand has all that the commands need."""
    secrets = Secrets()
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if "PROXY" in name.upper()]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("OPENAI_API_KEY", secrets.key)
    monkeypatch.setenv("MY_HEADER", secrets.header)
    rows = [f"I lost my dog {i}." for i in range(COUNT)]
    Path("chat.jsonl").write_text("".join(json.dumps({"context": row, "response": "Oh no."}) + "\n" for row in rows))
    run_of_two(tmp_path / "two", ["I am sorry."] * COUNT, ["Oh."] * COUNT)
    golden_set(tmp_path / "golden", COUNT)
    stricter(tmp_path)
    score = {"judge": "openai", "model": "gpt-4o-mini", "max_attempts": 1}
    Path("recipe.yaml").write_text(yaml.safe_dump({"name": "mine", "data": {"source": "chat.jsonl"}, "score": score}))
    return secrets


def run(commands: list[list[str]]) -> str:
    """Everything that the commands print."""
    printed = ""
    for command in commands:
        done = CliRunner().invoke(app, command)
        printed += done.stdout + done.stderr
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise AssertionError(printed) from done.exception
    return printed


def started() -> list[str]:
    """The command lines of the processes that this one has started, as `ps` shows them to everybody."""
    lines = []
    for process in psutil.Process().children(recursive=True):
        try:
            lines.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return lines


def look_at_every_byte(secrets: Secrets, printed: str, folder: Path, also: list[str]) -> None:
    contents = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for secret in secrets:
        for form in secret_forms(secret):
            assert form not in printed
            assert not any(form in line for line in also)
            for path, content in contents.items():
                assert form.encode() not in content, path


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_server_that_quotes_all_it_was_sent(secrets: Secrets, tmp_path: Path, name: str, status: int) -> None:
    seen: list[str] = []

    def script(body: object, number: int) -> Behaviour:
        seen.extend(started())
        quoting = json.dumps({**SCORES, "said": secrets.quoted})
        return ok(quoting) if status == 200 else error(status, secrets.quoted, code=secrets.key)

    with MisbehavingServer(script) as server:
        printed = run(COMMANDS[name](f"{server.url}?key={secrets.query}"))
        assert server.headers, printed
        sent = {header.lower(): value for header, value in server.headers[0].items()}
    assert (sent["authorization"], sent["x-team"]) == (f"Bearer {secrets.key}", secrets.header)
    look_at_every_byte(secrets, printed, tmp_path, seen)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_proxy_that_repeats_its_login_and_a_url_with_one(
    secrets: Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with ProxyServer() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://u:{secrets.password}@{proxy.place}")
        printed = run(COMMANDS[name](f"https://judge.example/v1?key={secrets.query}"))
        assert proxy.requests, printed
    printed += run(COMMANDS[name](f"https://u:{secrets.password}@judge.example/v1?key={secrets.query}"))
    assert "no password" in printed
    look_at_every_byte(secrets, printed, tmp_path, [])
