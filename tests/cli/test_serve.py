"""The service as a process: how it starts, how it ends, and what it knows of itself after a kill."""

import http.client
import json
import os
import signal
import threading
from contextlib import contextmanager

import pytest

from efficient_empathy.service.settings import TOKEN_VARIABLE
from forked_command import ForkedCommand
from service_server import SAMPLE, Running

TOKEN = "0123456789abcdef-of-the-test"


@contextmanager
def started(*options: object, **environment: str):
    command = ForkedCommand("serve", "--port", 0, "--json", *options, env={**os.environ, **environment})
    try:
        line = command.stdout.readline()
        assert line, command.communicate(30)
        yield command, Running(json.loads(line)["port"], None)
    finally:
        command.kill()


def said(*options: object, **environment: str) -> tuple[int | None, str]:
    """The exit status and the error of a service that does not start."""
    command = ForkedCommand("serve", "--port", 0, *options, env={**os.environ, **environment})
    errors = command.communicate(60)[1]
    return command.returncode, " ".join(errors.split())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_service_answers_what_is_under_way_and_refuses_what_is_new(tmp_path, number) -> None:
    with started("--keep", tmp_path) as (command, service):
        answers: list[tuple] = []
        request = threading.Thread(target=lambda: answers.append(service.ask("/v1/score", [SAMPLE] * 60)))
        request.start()
        while not service.ask("/v1/status")[2]["waiting"]:
            pass
        command.send_signal(number)
        request.join()
        errors = command.communicate(30)[1]
        assert [status for status, *_ in answers] == [200]
        assert len(answers[0][2]["results"]) == 60
        assert (command.returncode, errors) == (0, "The service has ended.\n")
        with pytest.raises(ConnectionRefusedError):
            http.client.HTTPConnection("127.0.0.1", service.port, timeout=5).request("GET", "/health")
    with started("--keep", tmp_path) as (_, service):
        assert service.ask("/v1/status")[2]["last_hour"]["items"] == {"ok": 60}


def test_a_killed_service_knows_what_it_had_written(tmp_path) -> None:
    with started("--keep", tmp_path) as (command, service):
        service.score([SAMPLE] * 3)
        service.ask("/v1/status")  # writes what was counted
        service.score(SAMPLE)
        command.kill()
        command.communicate(30)
    with started("--keep", tmp_path) as (_, service):
        assert service.ask("/v1/status")[2]["last_hour"]["items"] == {"ok": 3}
    assert SAMPLE["response"].encode() not in b"".join(
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )


def test_where_others_reach_it_a_token_is_required() -> None:
    status, error = said("--host", "0.0.0.0")
    assert status == 1
    assert error.startswith(f"Error: the service needs a token where others reach it (--host 0.0.0.0): put one into "
                            f"the environment variable {TOKEN_VARIABLE}")  # fmt: skip
    with started("--host", "0.0.0.0", **{TOKEN_VARIABLE: TOKEN}) as (command, service):
        assert service.ask("/v1/score", SAMPLE)[0] == 401
        assert service.ask("/v1/score", SAMPLE, {"Authorization": f"Bearer {TOKEN}"})[0] == 200
        command.send_signal(signal.SIGTERM)
        outputs = command.communicate(30)
    assert TOKEN not in "".join(outputs)


def test_what_cannot_be_served_is_said_in_a_sentence(tmp_path) -> None:
    short, run = tmp_path / "tokens", tmp_path / "run"
    short.write_text("short\n", "utf-8")
    run.mkdir()
    for options, error in (
        (["--token-file", short], f"{short} holds a token that is shorter than 16 characters"),
        (["--token-file", tmp_path / "none"], f"cannot read the tokens in {tmp_path / 'none'}: No such file"),
        (["--policy", "top"], "policy"),
        (["--judge-model", run], f"{run} holds no distilled judge"),
        ([run], "samples.parquet"),
        (["--host", "192.0.2.1", "--token-file", short], "tokens"),
    ):
        status, text = said(*options)
        assert (status, text[:7]) == (1, "Error: "), text
        assert error in text
