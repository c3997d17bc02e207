import asyncio
import contextlib
import importlib.util
import itertools
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

pytest.importorskip("transformers", reason='needs the extra "train"')

import misbehaviours
from browser import axe, open_page, run_async, text_of
from efficient_empathy.evaluation.ratings.questions import writable
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.modelling.generation import EndpointOptions, GenerationSettings
from efficient_empathy.modelling.generation.local import LocalGenerator
from efficient_empathy.studio.pages.chat import conversation
from efficient_empathy.studio.pages.chat.conversation import Conversations
from efficient_empathy.studio.pages.chat.speech import SpokenReply, Token, speak
from efficient_empathy.studio.pages.chat.turns import (
    ChatEndpoint,
    ChatRequest,
    RatingRequest,
    Turn,
    chat_material,
    list_models,
    path_of,
    send,
    target,
    turns,
)
from efficient_empathy.studio.server.bodies import read_body
from misbehaving_server import MisbehavingServer, refusing_url
from misbehaviours import Behaviour, echo, ok, server_error, stall, streamed, unauthorized
from studio_server import serving
from talking_runs import copied, reference_gates, write_talkers

QUESTION = "I lost my keys and my whole day went wrong."
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> <|eot_id|>"
MESSAGES = [{"role": "user", "content": QUESTION}]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return write_talkers(tmp_path_factory.mktemp("talkers"))


def asking(*names: str, text: str = QUESTION, **settings: Any) -> ChatRequest:
    context = [{"role": "speaker", "text": text}]
    body = {"asks": [{"model": name, "context": context} for name in names], "max_tokens": 12, **settings}
    return read_body(ChatRequest, json.dumps(body).encode())


def heard(
    workspace: Workspace, asked: ChatRequest, *endpoints: ChatEndpoint, talk: Conversations | None = None
) -> dict[str, dict[str, Any]]:
    """By model, all that came: its tokens' texts and gates, and its last event."""
    found: dict[str, dict[str, Any]] = {}

    async def listen() -> None:
        async for kind, told in (talk or Conversations()).replies(workspace, endpoints, asked):
            if kind == "end":
                continue
            one = found.setdefault(told["model"], {"pieces": [], "gates": []})
            if kind == "token":
                one["pieces"].append(told["text"])
                one["gates"].append(told.get("gates"))
            else:
                one[kind] = told

    run_async(listen())
    return found


def greedy(path: Path, tokens: int) -> tuple[str, list[int]]:
    speaker = LocalGenerator.load(path, GenerationSettings(max_new_tokens=tokens))
    ((reply,),) = speaker.generate([MESSAGES])
    assert reply.text is not None
    said: list[int] = []
    plain = speaker.tokenizer.decode
    speaker.tokenizer.decode = lambda ids, **options: said.__setitem__(slice(None), ids) or plain(ids, **options)
    list(speaker.generate([MESSAGES]))
    return reply.text, [token for token in said if token not in speaker.stops]


def test_gates_are_those_of_a_plain_forward_pass(run) -> None:
    text, tokens = greedy(run.moe, 12)
    one = heard(run, asking("moe"))["moe"]
    assert one["done"]["text"] == text == "".join(one["pieces"]).strip()
    assert one["experts"]["experts"] == ["sensibility", "rationality"]
    gates, expected = np.array(one["gates"]), reference_gates(run, MESSAGES, tokens)
    assert gates.shape == (len(tokens), 2, 2)
    np.testing.assert_allclose(gates, expected, atol=1e-4)
    np.testing.assert_allclose(one["done"]["mean"], expected.mean((0, 1)), atol=1e-4)
    assert np.ptp(gates[..., 0]) > 0.05, "the routers do not differ: the test says nothing"


def test_every_model_of_the_run_answers_as_generate_does(run) -> None:
    names = [one["name"] for one in list_models(run, ())]
    assert names == ["base", "sensibility", "rationality", "average", "moe"]
    found = heard(run, asking(*names))
    assert {name: one["done"]["text"] for name, one in found.items()} == {
        name: greedy(Path(target(name, run).path), 12)[0] for name in names
    }
    assert all(gates is None for name in names[:4] for gates in found[name]["gates"])


def test_a_temperature_draws_and_a_limit_cuts(run) -> None:
    found = [heard(run, asking("base", temperature=1.5, max_tokens=24))["base"]["done"] for _ in range(3)]
    assert len({one["text"] for one in found}) > 1
    assert all(one["completion_tokens"] <= 24 for one in found)
    assert heard(run, asking("base", max_tokens=1))["base"]["done"]["finish"] == "length"


def test_a_stopped_model_ends_after_its_next_token(run) -> None:
    speaker = LocalGenerator.load(run.moe, GenerationSettings(max_new_tokens=100))
    stop, seen = threading.Event(), []

    def on_token(token: object) -> None:
        seen.append(token)
        if len(seen) == 3:
            stop.set()

    said = speak(speaker, MESSAGES, temperature=0.0, seed=0, on_token=on_token, stop=stop)
    assert (said.finish, said.tokens, len(seen)) == ("stopped", 3, 3)
    assert len(said.weights) == 3


def test_who_stops_reading_frees_the_voice_for_others(run) -> None:
    talk = Conversations()

    async def listen() -> None:
        stream = talk.replies(run, (), asking("moe", "base", max_tokens=200))
        async for kind, _ in stream:
            if kind == "token":
                break
        await stream.aclose()
        again = [kind async for kind, _ in talk.replies(run, (), asking("average", max_tokens=2))]
        assert again[-2:] == ["done", "end"]

    run_async(asyncio.wait_for(listen(), 30))


def endpoint(url: str) -> ChatEndpoint:
    return ChatEndpoint("gpt-4o", EndpointOptions(url, timeout_s=5))


def test_an_endpoint_is_asked_beside_the_run_s_models(run, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "tok-0123456789abcdef")
    with MisbehavingServer([server_error(), ok(" I hear you. ")]) as server:
        found = heard(run, asking("endpoint:gpt-4o", "base"), endpoint(server.url))
        assert found["endpoint:gpt-4o"]["done"]["text"] == "I hear you."
        assert found["base"]["done"]["text"]
        assert server.requests[-1]["messages"] == MESSAGES
        assert server.requests[-1]["max_tokens"] == 12


@pytest.mark.parametrize(("behaviour", "said"), [(unauthorized(), "OPENAI_API_KEY"), (ok(""), "no reply")])
def test_an_endpoint_that_fails_says_why_in_a_sentence_without_the_key(run, monkeypatch, behaviour, said) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "tok-0123456789abcdef")
    with MisbehavingServer(behaviour) as server:
        message = heard(run, asking("endpoint:gpt-4o"), endpoint(server.url))["endpoint:gpt-4o"]["failed"]["message"]
    assert said in message
    assert "tok-" not in message


def test_an_endpoint_s_reply_comes_as_it_is_made_without_its_thoughts(run, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "tok-0123456789abcdef")
    parts = ["<thi", "nk>a cat?", "</think>", " I hear", b"data: {garbage\n\nnonsense\n\n", " you", ". "]
    with MisbehavingServer(streamed(*parts)) as server:
        found = heard(run, asking("endpoint:gpt-4o"), endpoint(server.url))["endpoint:gpt-4o"]
    assert found["done"]["text"] == "I hear you."
    assert found["done"]["completion_tokens"] == 4
    said = "".join(found["pieces"]).removeprefix("<thi")
    assert said.strip() == "I hear you."
    assert "cat" not in said


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ([streamed("Well", end="cut"), streamed("I hear", " you.")], "I hear you."),
        ([misbehaviours.error(422, "extra fields are not permitted"), ok("I hear you.")], "I hear you."),
        (ok("I hear you."), "I hear you."),
    ],
)
def test_an_endpoint_that_streams_badly_or_not_at_all_answers_still(run, monkeypatch, script, said) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "tok-0123456789abcdef")
    with MisbehavingServer(script) as server:
        found = heard(run, asking("endpoint:gpt-4o"), endpoint(server.url))["endpoint:gpt-4o"]
    assert found["done"]["text"] == said
    assert ("again" in found) == ("Well" in found["pieces"])
    assert "".join(found["pieces"]).removeprefix("Well") == said


@pytest.mark.parametrize(
    ("behaviour", "timeout_s", "said"),
    [
        (streamed("Well", end="error"), 20.0, "the model ran out of memory"),
        (stall(), 0.2, "no complete reply in 0.2 s"),
    ],
)
def test_an_error_in_the_middle_or_no_first_byte_is_one_sentence(run, monkeypatch, behaviour, timeout_s, said) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "tok-0123456789abcdef")
    with MisbehavingServer(behaviour) as server:
        slow = ChatEndpoint("gpt-4o", EndpointOptions(server.url, timeout_s=timeout_s))
        found = heard(run, asking("endpoint:gpt-4o"), slow)["endpoint:gpt-4o"]
    assert said in found["failed"]["message"]


def test_a_budget_is_kept_over_all_calls_and_needs_a_price(run, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "tok-0123456789abcdef")
    talk = Conversations()
    with MisbehavingServer(ok("I hear you.", usage={"prompt_tokens": 10, "completion_tokens": 10})) as server:
        one = replace(endpoint(server.url), max_cost=0.001)
        found = [heard(run, asking("endpoint:gpt-4o"), one, talk=talk)["endpoint:gpt-4o"] for _ in range(12)]
        unknown = ChatEndpoint("nobody-s-model", one.options, 1.0)
        refused = heard(run, asking("endpoint:nobody-s-model"), unknown)["endpoint:nobody-s-model"]
        count = len(server.requests)
    done = [reply["done"]["spent_usd"] for reply in found if "done" in reply]
    assert done == sorted(done)
    assert 0 < done[-1] <= 0.001
    assert "of the chat's budget of $0.001 only" in found[-1]["failed"]["message"]
    assert "price of nobody-s-model is not known" in refused["failed"]["message"]
    assert count == len(done)


def test_an_endpoint_that_is_not_there_fails_alone(run) -> None:
    found = heard(run, asking("endpoint:gpt-4o", "base"), endpoint(refusing_url()))
    assert "failed" in found["endpoint:gpt-4o"]
    assert "done" in found["base"]


@pytest.mark.parametrize("name", ["nobody", "../base", "http://127.0.0.1:1/v1", "endpoint:other", "org/model", ".."])
def test_only_the_run_s_models_can_be_named(run, name) -> None:
    message = heard(run, asking(name))[name]["failed"]["message"]
    assert message.startswith("this run has no model")


def test_a_model_that_is_missing_is_said_with_what_makes_it(run, tmp_path) -> None:
    import shutil

    spoilt = copied(run, tmp_path)
    shutil.rmtree(spoilt.moe)
    (spoilt.experts / "rationality" / "model.safetensors").write_bytes(b"nothing")
    problems = {one["name"]: one["problem"] for one in list_models(spoilt, ()) if one["problem"]}
    assert problems.keys() == {"moe", "rationality"}
    assert problems["moe"].endswith("mixing makes it")
    assert "has changed since it was written" in problems["rationality"]
    assert "has changed since" in heard(spoilt, asking("rationality"))["rationality"]["failed"]["message"]


def test_without_torch_the_extra_is_named(run, monkeypatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else real(name))
    assert all('pip install "efficient-empathy[train]"' in one["problem"] for one in list_models(run, ()))
    assert "[train]" in heard(run, asking("base"))["base"]["failed"]["message"]
    assert not list_models(run, [endpoint("http://localhost/v1")])[-1]["problem"]


def raising(error: BaseException) -> Any:
    def failing(*_: object, **__: object) -> SpokenReply:
        raise error

    return failing


def test_too_little_memory_and_any_other_failure_are_one_sentence(run, monkeypatch) -> None:
    import torch

    talk = Conversations()
    for error, said in (
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), "not enough memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            "not enough memory",
        ),
        (ValueError("odd\nnumbers"), "it failed with ValueError: odd numbers"),
    ):
        monkeypatch.setattr(conversation, "speak", raising(error))
        message = heard(run, asking("base"), talk=talk)["base"]["failed"]["message"]
        assert said in message
        assert "\n" not in message
    monkeypatch.undo()
    assert "done" in heard(run, asking("base"), talk=talk)["base"]


def test_a_conversation_past_the_window_loses_its_oldest_turns_and_a_turn_that_is_too_long_says_so(run) -> None:
    long = [Turn(role=role, text=f"{word} " * 260) for role, word in (("speaker", "a"), ("listener", "b"))]
    asked = asking("base")
    (ask,) = asked.asks
    longer = asked.model_copy(update={"asks": [ask.model_copy(update={"context": [*long, *long, *ask.context]})]})
    assert heard(run, asked)["base"]["done"]["left_out"] == 0
    assert heard(run, longer)["base"]["done"]["left_out"] in (2, 4)
    assert "done" in heard(run, asking("base", text="word " * 900))["base"]
    assert "window" in heard(run, asking("base", text="\u00e9" * 7000))["base"]["failed"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"{}", b'{"asks": []}',
        json.dumps({"asks": [{"model": "base", "context": []}]}).encode(),
        json.dumps({"asks": [{"model": "base", "context": [{"role": "system", "text": "x"}]}]}).encode(),
        json.dumps({"asks": [{"model": "base", "context": [{"role": "speaker", "text": "x" * 8001}]}]}).encode(),
        json.dumps({"asks": [{"model": "base", "context": [{"role": "speaker", "text": "x"}], "url": "x"}]}).encode(),
        json.dumps(
            {"asks": [{"model": "base", "context": [{"role": "speaker", "text": "x"}]}], "temperature": -1}
        ).encode(),
    ],
)  # fmt: skip
def test_what_the_page_would_not_ask_is_refused(body) -> None:
    with pytest.raises(UserError, match="the studio cannot take that request"):
        read_body(ChatRequest, body)


def sent(text: str = "hm", *replies: str) -> RatingRequest:
    return RatingRequest.model_validate(
        {
            "context": [{"role": "speaker", "text": text}],
            "replies": [{"model": "base", "response": reply} for reply in replies or ("oh",)],
        }
    )


def test_turns_for_rating_are_appended_whole_by_many_at_once_and_each_once(tmp_path) -> None:
    workspace = Workspace(tmp_path / "run").create()
    threads = [
        threading.Thread(target=send, args=(workspace, sent(f"hm {i % 20}", HOSTILE * 200), {"base": "Base model"}))
        for i in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = turns(workspace)
    assert sorted(one["context"][0]["text"] for one in found) == sorted(f"hm {i}" for i in range(20))
    assert found[0]["replies"] == [{"model": "base", "label": "Base model", "response": HOSTILE * 200}]
    assert len({one["id"] for one in found}) == 20
    with pytest.raises(UserError, match="no model 'base'"):
        send(workspace, sent(), {})


def test_line_breaks_of_every_kind_stay_inside_a_turn(tmp_path) -> None:
    workspace = Workspace(tmp_path / "run").create()
    text = "one\u2028two\u0085three\x0bfour\r\nfive"
    told = [send(workspace, sent(text), {"base": "Base model"}) for _ in range(2)]
    assert [one["is_new"] for one in told] == [True, False]
    assert [one["context"][0]["text"] for one in turns(workspace)] == [text]


def test_a_nul_that_a_model_wrote_is_answered_and_rated_and_none_is_in_a_name(run, tmp_path) -> None:
    workspace, said = copied(run, tmp_path), "a\0b"
    context = [{"role": "speaker", "text": said}]
    with studio(workspace, tmp_path) as url:

        def post(path: str, body: dict[str, Any]) -> tuple[int, str]:
            request = urllib.request.Request(f"{url}/api/chat/{path}", json.dumps(body).encode(), {"Origin": url})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        status, told = post("replies", {"asks": [{"model": "base", "context": context}], "max_tokens": 2})
        assert (status, "event: done" in told) == (200, True), told
        rated = {"context": context, "replies": [{"model": "base", "response": said}]}
        assert post("turns", rated)[0] == 200
        status, told = post("turns", rated | {"replies": [{"model": said, "response": said}]})
        assert (status, "replies.0.model" in told) == (400, True), told
    assert [one["replies"][0]["response"] for one in turns(workspace)] == [said]
    (shown,) = chat_material(workspace, ["base"], count=None, seed=0).responses["base"].values()
    assert (shown, writable(shown)) == (said, "a�b")  # what was written, and what raters see


@contextlib.contextmanager
def studio(run: Workspace, folder: Path, *endpoints: ChatEndpoint) -> Iterator[str]:
    with serving([run.root], folder) as served:
        served.studio.chat_endpoints = endpoints  # type: ignore[attr-defined]
        yield served.url


def test_over_http_a_stream_comes_and_hanging_up_ends_it(run, tmp_path) -> None:
    async def talk(url: str) -> None:
        body = asking("moe", max_tokens=200).model_dump()
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{url}/api/chat/replies", json=body) as answer:
                assert answer.headers["Content-Type"].startswith("text/event-stream")
                assert (await answer.content.readline()).strip() == b"event: loading"
            async with session.post(
                f"{url}/api/chat/replies", json=asking("base", max_tokens=2).model_dump()
            ) as answer:
                assert b"event: done" in await answer.read()
            async with session.post(f"{url}/api/chat/replies", data=b"{}") as answer:
                assert answer.status == 400
                assert "asks" in (await answer.json())["error"]
            async with session.post(
                f"{url}/api/chat/replies", json=body, headers={"Origin": "http://evil.example"}
            ) as answer:
                assert answer.status == 403

    with studio(run, tmp_path) as url:
        run_async(asyncio.wait_for(talk(url), 30))


def test_the_page_talks_by_keyboard_alone_shows_hostile_text_as_text_and_sends_to_rating(
    run, tmp_path, browser
) -> None:
    workspace = copied(run, tmp_path)
    with (
        MisbehavingServer(echo()) as server,
        studio(workspace, tmp_path, endpoint(server.url)) as url,
    ):
        address = f"{url}/chat?model=moe&model=endpoint:gpt-4o&max_tokens=8"
        visit = open_page(browser, address)
        page = visit.page
        page.set_default_timeout(30_000)
        page.get_by_role("checkbox", name="MoE").wait_for()
        page.get_by_label("Your turn, as the speaker").focus()
        page.keyboard.type(HOSTILE)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Send these replies to rating").wait_for()
        assert page.locator(".chat-reply .text", has_text=HOSTILE).count() == 1
        assert "owned" not in page.title()
        assert page.locator("#conversation script").count() == 0

        tokens = page.locator(".token")
        page.locator(".token[tabindex='0']").focus()
        page.keyboard.press("End")
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        told = page.locator(".token-facts").inner_text()
        assert told.startswith("Token 2,")
        assert "sensibility" in told
        assert "mean of 2 layers" in told
        page.get_by_text("Token by layer").focus()
        page.keyboard.press("Enter")
        page.locator(".chat-heat svg rect").first.wait_for()  # `toggle` comes a moment after the key
        assert page.locator(".chat-heat svg rect").count() == 2 * tokens.count()
        assert axe(page) == []
        assert HOSTILE in text_of(page)

        page.get_by_role("button", name="Send these replies to rating").focus()
        page.keyboard.press("Enter")
        page.get_by_text("Sent to rating.").first.wait_for()
        (turn,) = turns(workspace)
        assert turn["context"] == [{"role": "speaker", "text": HOSTILE}]
        assert [reply["model"] for reply in turn["replies"]] == ["moe", "endpoint:gpt-4o"]
        assert turn["replies"][1]["response"] == HOSTILE

        page.get_by_label("Your turn, as the speaker").focus()
        page.keyboard.type("And then?")
        page.keyboard.press("Enter")
        page.locator(".chat-turn").nth(1).get_by_role("button", name="Send these replies").wait_for()
        roles = [message["role"] for message in server.requests[-1]["messages"]]
        assert roles == ["user", "assistant", "user"]
        assert server.requests[-1]["messages"][1]["content"] == turn["replies"][0]["response"]

        with page.expect_download() as download:
            page.get_by_role("button", name="Export JSONL").click()
        lines = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
        assert [line["model"] for line in lines] == ["moe", "endpoint:gpt-4o"]
        assert [m["role"] for m in lines[0]["messages"]] == ["user", "assistant", "user", "assistant"]
        said = page.locator("#conversation .text").all_inner_texts()
        page.reload()
        page.locator(".chat-turn").nth(1).get_by_role("button", name="Send these replies").wait_for()
        page.get_by_text("Sent to rating.").first.wait_for()
        assert page.locator("#conversation .text").all_inner_texts() == said
        page.get_by_role("button", name="Clear").click()
        page.reload()
        page.get_by_text("Tell the models something").wait_for()
        assert visit.console == []
        assert all(one.startswith((url, f"blob:{url}")) for one in visit.requests)


def test_stop_keeps_what_was_said(run, tmp_path, monkeypatch, browser) -> None:
    def pausing(speaker: Any, prompt: Any, *, on_token: Any, stop: threading.Event, **how: Any) -> Any:
        spoken = itertools.count(1)

        def tell(token: Token) -> None:
            on_token(token)
            if next(spoken) == 5:
                stop.wait(30)

        return speak(speaker, prompt, on_token=tell, stop=stop, **how)

    monkeypatch.setattr("efficient_empathy.studio.pages.chat.conversation.speak", pausing)
    with studio(run, tmp_path) as url:
        visit = open_page(browser, f"{url}/chat?model=moe&max_tokens=8", width=390, scheme="dark")
        page = visit.page
        page.set_default_timeout(30_000)
        page.get_by_role("checkbox", name="MoE").wait_for()
        page.get_by_label("Your turn, as the speaker").fill(QUESTION)
        page.get_by_role("button", name="Send").click()
        page.locator(".token").nth(3).wait_for(state="attached")
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("stopped").wait_for()
        assert page.get_by_role("button", name="Send", exact=True).is_enabled()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert axe(page) == []
        assert visit.console == []


def test_an_endpoint_is_stopped_while_it_speaks_and_what_broke_off_is_not_gone_on_with(
    run, tmp_path, monkeypatch, browser
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "tok-0123456789abcdef")

    def script(body: dict[str, Any], number: int) -> Behaviour:
        return streamed("I hear", " you", hold=True) if number == 0 else streamed("Well", end="error")

    with MisbehavingServer(script) as server:
        one = replace(endpoint(server.url), max_cost=1.0)
        with studio(run, tmp_path, one) as url:
            visit = open_page(browser, f"{url}/chat?model=endpoint:gpt-4o&max_tokens=8")
            page = visit.page
            page.set_default_timeout(30_000)
            page.get_by_role("checkbox", name="gpt-4o").wait_for()
            message = page.get_by_label("Your turn, as the speaker")
            message.fill(QUESTION)
            page.get_by_role("button", name="Send").click()
            page.locator(".chat-reply .text", has_text="I hear you").wait_for()
            page.get_by_role("button", name="Stop").click()
            page.locator(".facts-line", has_text="stopped").wait_for()
            assert page.locator(".chat-reply .text").inner_text() == "I hear you"
            message.fill("And then?")
            page.get_by_role("button", name="Send", exact=True).click()
            page.get_by_text("It broke off here; the conversation goes on without it").wait_for()
            assert page.locator(".chat-reply .text").last.inner_text() == "Well"
            assert [one["content"] for one in server.requests[-1]["messages"]] == [QUESTION, "I hear you", "And then?"]
            message.fill("Hello?")
            page.get_by_role("button", name="Send", exact=True).click()
            page.get_by_text("It broke off here; the conversation goes on without it").nth(1).wait_for()
            assert "Well" not in [one["content"] for one in server.requests[-1]["messages"]]
            assert axe(page) == []
            assert visit.console == []


def test_a_run_without_models_says_what_makes_them(tmp_path, browser) -> None:
    from scored_runs import numbered, write_run

    bare = write_run(tmp_path / "run", [numbered(0)], {"sensibility": [5], "rationality": [5]})
    assert not path_of(bare).exists()
    with studio(bare, tmp_path) as url:
        page = open_page(browser, f"{url}/chat").page
        page.get_by_text("this run has no model 'moe': mixing makes it").wait_for()
        assert page.get_by_role("checkbox", name="MoE").is_disabled()
