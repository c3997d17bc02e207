"""The image and its composition: what they promise, as far as it can be read; no container engine is needed."""

from __future__ import annotations

import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from efficient_empathy.cli import COMMANDS, app
from efficient_empathy.service.settings import TOKEN_VARIABLE
from efficient_empathy.studio.settings import StudioSettings

ROOT = Path(__file__).parents[1]
DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text("utf-8"))
LINES = [line.split(maxsplit=1) for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def values(instruction: str) -> list[str]:
    return [rest for word, rest in LINES if word == instruction]


def test_the_image_is_built_in_two_stages_from_a_pinned_base() -> None:
    (base,) = values("ARG")
    assert re.fullmatch(r"PYTHON=python:3\.\d+\.\d+-slim-[a-z]+", base)
    assert values("FROM") == ["${PYTHON} AS build", "${PYTHON}"]
    version = tuple(map(int, base.split(":")[1].split("-")[0].split(".")))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert version[:2] >= tuple(map(int, project["requires-python"].removeprefix(">=").split(".")))
    assert "PIP_CONSTRAINT=/source/constraints.txt" in DOCKERFILE
    (extras,) = re.findall(r'install "\.\[([a-z,]+)\]"', DOCKERFILE)
    wanted = [one for extra in extras.split(",") for one in project["optional-dependencies"][extra]]
    assert "serve" in extras.split(",")
    assert not any(re.match("torch|transformers|vllm", one) for one in [*wanted, *project["dependencies"]])


def test_it_is_built_from_what_the_ignore_file_lets_in_and_nothing_else() -> None:
    first, *rest = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] != "#"]
    allowed = {line[1:] for line in rest if line.startswith("!")}
    sources = {name for line in values("COPY") if "--from" not in line for name in line.split()[:-1]}
    assert first == "*"
    assert sources == allowed
    assert all((ROOT / name).exists() for name in sources)
    for secret in (".env", ".git", "runs", "service.token"):
        assert not any(fnmatch(secret, pattern) for pattern in allowed)
    assert ".env" in (ROOT / ".gitignore").read_text("utf-8").split()


def test_it_runs_as_nobody_in_particular_and_ends_on_a_signal() -> None:
    assert values("USER") == ["10001:10001"]
    assert "useradd --system --uid 10001" in DOCKERFILE
    assert values("STOPSIGNAL") == ["SIGTERM"]
    assert values("ENTRYPOINT") == ['["efficient-empathy"]']
    (check,) = values("HEALTHCHECK")
    assert "http://127.0.0.1:8322/health" in check
    after = [word for word, _ in LINES][[word for word, _ in LINES].index("USER") :]
    assert not {"RUN", "COPY"} & set(after)


@pytest.mark.parametrize("name", ["prepare", "service", "studio"])
def test_every_container_is_confined(name) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(one.startswith("/tmp:size=") for one in service["tmpfs"])
    assert {one.split(":")[0] for one in service["volumes"]} == set(COMPOSE["volumes"])
    assert {one.split(":")[1] for one in service["volumes"]} == {"/runs", "/state"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "privileged" not in service


def test_service_and_studio_do_not_start_without_a_token() -> None:
    tokens = {
        "service": (TOKEN_VARIABLE, "SERVICE_TOKEN"),
        "studio": ("EFFICIENT_EMPATHY_STUDIO_TOKEN", "STUDIO_TOKEN"),
    }
    for name, (variable, setting) in tokens.items():
        assert SERVICES[name]["environment"][variable].startswith(f"${{{setting}:?")
        assert SERVICES[name]["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}
    assert "EFFICIENT_EMPATHY_STUDIO_TOKEN" in str(StudioSettings.model_fields["token"].metadata)


def commands() -> list[list[str]]:
    """Every command of the image, of the composition and of the page's example for Kubernetes."""
    page = (ROOT / "docs" / "service.md").read_text("utf-8")
    (kubernetes,) = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(containers:.*?)```", page, re.DOTALL)]
    (default,) = values("CMD")
    return [
        yaml.safe_load(default),
        *(service["command"] for service in SERVICES.values()),
        kubernetes["containers"][0]["args"],
        *(shlex.split(line)[1:] for line in re.findall(r"^    (efficient-empathy serve .*?)(?: +#.*)?$", page, re.M)),
    ]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_and_option_is_there(command) -> None:
    assert command[0] in COMMANDS
    text = CliRunner().invoke(app, [command[0], "--help"]).output
    for option in command:
        assert not option.startswith("--") or re.search(rf"{option}\b", text), option


def test_the_ports_are_those_that_the_commands_listen_on() -> None:
    assert values("EXPOSE") == ["8322 8321"]
    assert SERVICES["service"]["ports"] == ["127.0.0.1:8322:8322"]
    assert SERVICES["studio"]["ports"] == ["127.0.0.1:8321:8321"]
    assert SERVICES["studio"]["command"][-3:] == ["--port", "8321", "--no-open"]


def test_the_examples_of_configuration_are_yaml_and_name_metrics_that_there_are() -> None:
    page = (ROOT / "docs" / "service.md").read_text("utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    assert len(blocks) == 3
    source = (ROOT / "src" / "efficient_empathy" / "service" / "metrics.py").read_text("utf-8")
    used = set(re.findall(r"efficient_empathy_([a-z_]+?)(?:_total|_bucket|)[{\[]", page))
    assert used >= {"drift", "requests", "request_seconds"}
    assert all(f'"{name}"' in source for name in used)
