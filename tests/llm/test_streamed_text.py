"""Replies that are told of as they come, by servers that stream well, badly, or not at all."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from calling import KEY, Client
from efficient_empathy.llm import CallFailed
from misbehaving_server import MisbehavingServer, Script
from misbehaviours import Behaviour, error, ok, streamed


def told(client: Client, script: Script) -> tuple[list[str], str, MisbehavingServer]:
    """What was told of a reply while it came, and the answer."""
    so_far: list[str] = []
    with MisbehavingServer(script) as server:
        answer = client.completion(server.url, call={"on_text": so_far.append})
    return so_far, answer.text, server


def test_the_text_so_far_is_told_whatever_else_is_in_the_stream(client: Client) -> None:
    dog = json.dumps({"choices": [{"index": 0, "delta": {"content": " 🐕"}}]}, ensure_ascii=False).encode()
    garbage = b'data: {not json\n\nnonsense\n\n: still here\n\ndata: [1]\r\n\r\nevent: ping\ndata: {"choices": 3}\n\n'
    so_far, text, server = told(
        client, streamed("Oh", garbage, " no,", b"data: " + dog[:50], dog[50:] + b"\n\n", " it ran", "")
    )
    assert text == "Oh no, 🐕 it ran"
    assert so_far[0].startswith("Oh")
    assert so_far[-1] == text
    assert all(later.startswith(earlier) for earlier, later in pairwise(so_far))
    assert server.requests[0]["stream"] is True


@pytest.mark.parametrize("declined", [("stream_options",), ("stream_options", "stream"), ("stream",)])
def test_a_server_that_takes_no_part_of_it_is_asked_without(client: Client, declined: tuple[str, ...]) -> None:
    def script(body: dict[str, object], number: int) -> Behaviour:
        unknown = next((name for name in declined if name in body), None)
        if unknown:
            return error(400, f"Unrecognized request argument supplied: {unknown}", param=unknown)
        return streamed("Oh", " no") if body.get("stream") else ok("Oh no")

    so_far, text, server = told(client, script)
    assert text == "Oh no"
    assert ("Oh no" in so_far) == ("stream" not in declined)
    assert not set(declined) & server.requests[-1].keys()


def test_a_reply_that_comes_whole_is_the_answer_alone(client: Client) -> None:
    assert told(client, ok("Oh no"))[:2] == ([], "Oh no")


@pytest.mark.parametrize("end", ["cut", "lost"])
def test_one_that_breaks_off_begins_anew(client: Client, end: str) -> None:
    so_far, text, server = told(client, [streamed("Well", ", I", end=end), streamed("Oh", " no")])
    assert text == so_far[-1] == "Oh no"
    assert "Well" in so_far[0]
    assert len(server.requests) == 2


def test_an_error_in_the_middle_is_why_the_call_failed(client: Client) -> None:
    so_far: list[str] = []
    with MisbehavingServer(streamed("Well", end="error")) as server:
        failure = client.failure(server.url, call={"on_text": so_far.append})
    assert isinstance(failure, CallFailed)
    assert "the model ran out of memory" in failure.reason
    assert so_far[0] == "Well"


def test_the_time_limit_is_for_each_part_not_for_a_long_reply(client: Client) -> None:
    so_far: list[str] = []
    with MisbehavingServer(streamed(*"abcdefgh", pause_s=0.3)) as server:
        answer = client.completion(server.url, timeout_s=2.0, call={"on_text": so_far.append})
        assert (answer.text, answer.attempts) == ("abcdefgh", 1)
    with MisbehavingServer(streamed("a", hold=True)) as server:
        assert (
            client.failure(server.url, timeout_s=0.2, max_attempts=1, call={"on_text": so_far.append}).kind == "timeout"
        )


def test_no_half_of_the_key_is_told(client: Client) -> None:
    so_far, text, _ = told(client, streamed("It is ", KEY[:9], KEY[9:], ", is it not?"))
    assert text == so_far[-1] == "It is [key], is it not?"
    assert not any(KEY[:4] in one for one in so_far)
