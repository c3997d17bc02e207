import asyncio

import pytest
from aiohttp import web

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.llm import Endpoint
from efficient_empathy.llm.batches.client import BatchClient
from efficient_empathy.llm.batches.contract import GoneError
from efficient_empathy.llm.wire.anthropic import AnthropicWire

KEY = "sk-0123456789abcdef"


def status_of(reply: object, batch: str = "batch_1", *, wire: str = "openai", status: int = 200):
    """What a client makes of a server's reply when it asks how a batch stands; the paths that were asked for."""
    paths: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.path_qs)
        return web.Response(text=reply, status=status) if isinstance(reply, str) else web.json_response(reply)

    async def run():
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        spoken = AnthropicWire() if wire == "anthropic" else None

        async def no_wait(_: float) -> None:
            await asyncio.sleep(0)

        try:
            async with Endpoint(
                base.removesuffix("/v1") if spoken else base, "m", api_key=KEY, wire=spoken
            ) as endpoint:
                return await BatchClient(endpoint, wire, sleep=no_wait).status(batch)
        finally:
            await runner.cleanup()

    return asyncio.run(run()), paths


def test_a_batch_of_openai_is_read_with_its_counts_and_the_places_of_its_results() -> None:
    batch = {"id": "batch_1", "status": "completed", "output_file_id": "file-o", "error_file_id": None,
             "request_counts": {"total": 9, "completed": 7, "failed": 2}, "metadata": {"efficient-empathy": "abc"},
             "created_at": 5}  # fmt: skip
    status, paths = status_of(batch)
    assert (status.state, status.done, status.total, status.label) == ("over", 9, 9, "abc")
    assert status.results == ("/files/file-o/content",)
    assert paths == ["/v1/batches/batch_1"]


def test_a_batch_of_anthropic_has_its_results_at_the_apis_own_place_whatever_it_says() -> None:
    batch = {"id": "msgbatch_1", "processing_status": "ended", "created_at": "2026-11-29T19:00:00Z",
             "request_counts": {"processing": 0, "succeeded": 3, "expired": 1},
             "results_url": "https://elsewhere.example/keys"}  # fmt: skip
    status, paths = status_of(batch, "msgbatch_1", wire="anthropic")
    assert (status.state, status.done, status.total) == ("over", 4, 4)
    assert status.results == ("/messages/batches/msgbatch_1/results",)
    assert paths == ["/v1/messages/batches/msgbatch_1"]


@pytest.mark.parametrize("name", ["../../admin", "..", "a/b", "a?b=c", "", 7, None, "x" * 300])
def test_what_a_server_calls_a_batch_or_a_file_leads_nowhere_else(name) -> None:
    with pytest.raises(UserError, match="is no name"):
        status_of({"id": name, "status": "completed"})
    if name:
        with pytest.raises(UserError, match="is no name"):
            status_of({"id": "b", "status": "completed", "output_file_id": name})


@pytest.mark.parametrize("reply", ["", "<html>", "[]", "null", "{", '"text"'])
def test_what_is_no_json_object_is_told(reply) -> None:
    with pytest.raises(UserError, match=r"has an answer of its own to a batch.*leave --batch out"):
        status_of(reply)


def test_a_batch_that_is_gone_and_a_refused_key_are_told_apart() -> None:
    with pytest.raises(GoneError, match=r"has no batches/batch_1"):
        status_of('{"error": {"message": "No such batch"}}', status=404)
    with pytest.raises(UserError, match="refuses the key") as refused:
        status_of('{"error": {"message": "Incorrect API key"}}', status=401)
    assert not isinstance(refused.value, GoneError)
    with pytest.raises(UserError, match=r"fails at /batches/batch_1 of its batch API: HTTP 500"):
        status_of('{"error": {"message": "down"}}', status=500)
