"""Each thing that the guard refuses is refused in a sentence that says what to do, and so is what breaks behind it."""

import asyncio
import json
import logging
import time

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.server import security
from efficient_empathy.studio.server.links import Links
from efficient_empathy.web import requests
from efficient_empathy.web.rates import Rates
from selected_runs import selected_run
from studio_server import ask, serving

TOKEN = "a-token-of-the-owner"
WRONG_LINK = "This link has ended or was withdrawn: ask for a new one."


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return selected_run(tmp_path_factory.mktemp("runs") / "mine", dialogues=6).root


@pytest.fixture(scope="module")
def local(run, tmp_path_factory):
    async def broken(request: Request) -> Response:
        raise RuntimeError("a fault of ours")

    with serving([run], tmp_path_factory.mktemp("local"), rates=Rates(1e6, 1e6)) as served:
        served.app.router.routes.append(Route("/api/broken", broken))
        yield served


@pytest.fixture(scope="module")
def guarded(run, tmp_path_factory):
    with serving([run], tmp_path_factory.mktemp("guarded"), token=TOKEN, rates=Rates(1e6, 1e6)) as served:
        yield served


def refusal(served, path: str = "/api/x", method: str = "GET", **headers: str) -> tuple[int, str]:
    status, _, text = ask(served, path, method, {name.replace("_", "-"): value for name, value in headers.items()})
    return status, json.loads(text)["error"]


def test_a_request_that_is_not_for_the_studio_is_told_so(local) -> None:
    ours = (403, "This address is not the studio's: open the one that it printed.")
    assert refusal(local, Host="evil.example") == ours
    assert refusal(local, Host="") == ours
    assert refusal(local, Origin="http://evil.example") == (403, "The studio answers its own pages only.")
    assert refusal(local, "/api/nothing") == (404, "There is no such page here.")
    assert refusal(local, "/api/broken", "PUT") == (405, "This address does not take that.")


def test_a_header_is_bounded_in_fields_and_bytes(local) -> None:
    too_long = (431, "The request's header is too long: delete this site's cookies.")
    own = {"Host": f"localhost:{local.studio.port}", "Accept-Encoding": "identity"}
    plain = sum(len(name) + len(value) for name, value in own.items())
    most = requests.HEADER_BYTES - plain - len("Cookie")
    assert ask(local, "/api/nothing", headers={**own, "Cookie": "x" * most})[0] == 404
    assert refusal(local, Cookie="x" * (most + 1)) == too_long
    fields = {f"x-{number}": "1" for number in range(requests.HEADER_FIELDS - 2)}
    assert ask(local, "/api/nothing", headers={**own, **fields})[0] == 404
    assert refusal(local, **fields, one_more="1") == too_long


def test_a_length_is_a_number_within_the_limit_said_once(local) -> None:
    limit = local.studio.limit
    too_large = (413, f"The request is larger than {limit:,} bytes.")
    for length in (f"{limit + 1}", "0000000000001"):
        assert refusal(local, "/api/nothing", "POST", Content_Length=length) == too_large
    status, headers, text = ask(
        local, "/api/nothing", "POST", {"Content-Length": "0", "Transfer-Encoding": "chunked"}, body=None
    )
    problem = "The request says its length in two ways, and a proxy may have read it otherwise."
    assert (status, json.loads(text)["error"], headers["connection"]) == (400, problem, "close")


def test_who_has_no_token_or_a_wrong_one_is_told_which(guarded) -> None:
    missing = (401, "The studio needs its token: open the address that it printed.")
    wrong = (401, "This is not the studio's token: open the address that it printed.")
    assert refusal(guarded) == missing
    assert refusal(guarded, Authorization=f"Basic {TOKEN}") == missing
    assert refusal(guarded, Authorization="Bearer wrong") == wrong
    assert refusal(guarded, "/api/x?token=wrong") == wrong
    assert refusal(guarded, "/api/nothing", Authorization=f"bEaReR {TOKEN}") == (404, "There is no such page here.")


def test_a_rater_is_told_what_the_link_is_for_and_when_it_has_ended(guarded, run) -> None:
    link = guarded.studio.links.issue(run, "Ann")
    cookie = f"studio-rate-{guarded.studio.port}={link.key}"
    assert refusal(guarded, "/api/lab/cube", Cookie=cookie) == (403, "Your link opens the rating, and nothing else.")
    assert ask(guarded, "/rate", headers={"Cookie": cookie})[0] == 200
    for path in ("/rate/nothing", "/api/rate/nothing"):
        assert ask(guarded, path, headers={"Cookie": cookie})[0] == 404
    guarded.studio.links.revoke(link.id)
    assert refusal(guarded, Cookie=cookie) == (401, WRONG_LINK)
    status, headers, text = ask(guarded, f"/rate?link={link.key}")
    assert (status, f">{WRONG_LINK}<" in text) == (401, True)
    assert "set-cookie" not in headers
    _, headers, _ = ask(guarded, "/leave", headers={"Cookie": cookie})
    kept, *flags = (part.strip().lower() for part in headers["set-cookie"].split(";"))
    assert kept.startswith(f"studio-rate-{guarded.studio.port}=")
    assert {"httponly", "samesite=strict", "max-age=0", "path=/"} <= set(flags)


def test_what_is_the_owners_is_refused_to_a_rater_by_name(guarded, run) -> None:
    cookie = f"studio-rate-{guarded.studio.port}={guarded.studio.links.issue(run, 'Bo').key}"
    asked = refusal(guarded, "/api/rate/studies?run=mine", Cookie=cookie)
    assert asked == (403, "This is for the owner of the run.")


def test_who_asks_too_fast_is_told_when_to_come_again(run, tmp_path) -> None:
    with serving([run], tmp_path, rates=Rates(per_second=0.001, burst=1)) as served:
        assert ask(served, "/api/nothing")[0] == 404
        status, headers, text = ask(served, "/api/nothing")
        assert (status, json.loads(text)["error"]) == (429, "Too many requests: wait a moment.")
        assert 900 <= int(headers["retry-after"]) <= 1000


def test_who_shows_many_wrong_tokens_is_told_how_long_to_wait(run, tmp_path) -> None:
    with serving([run], tmp_path, token=TOKEN, rates=Rates(1e6, 1e6)) as served:
        for _ in range(200):
            status, headers, text = ask(served, "/api/x?token=wrong")
            if status == 429:
                break
        seconds = int(headers["retry-after"])
        shown = f"{seconds} s" if seconds < 120 else f"{-(-seconds // 60)} minutes"
        problem = f"Too many wrong tokens or links came from your address: try again in {shown}."
        assert json.loads(text)["error"] == problem
        assert ask(served, "/api/x?token=wrong", source="127.0.0.9")[0] == 401


def test_a_fault_of_ours_is_told_without_what_it_was_and_logged_with_it(local, caplog) -> None:
    with caplog.at_level(logging.ERROR, security.__name__):
        assert refusal(local, "/api/broken?x=1") == (500, "Something went wrong here; the studio's terminal says what.")
    (record,) = [one for one in caplog.records if one.name == security.__name__]
    assert record.getMessage() == "GET '/api/broken' failed"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "a fault of ours"


def test_every_answer_says_what_a_browser_may_do_and_a_page_of_ones_own_may_say_how_long_it_is_kept(local) -> None:
    for path in ("/", "/api/nothing", "/api/broken"):
        _, headers, _ = ask(local, path)
        assert {name: headers[name] for name in security.HEADERS} == security.HEADERS
        assert headers["cache-control"] == "no-store"
    _, headers, _ = ask(local, local.studio.static.address("studio.css"))
    assert headers["cache-control"] != "no-store"


@pytest.mark.parametrize(("kind", "passed"), [("lifespan", True), ("websocket", False), ("other", False)])
def test_only_requests_and_the_servers_own_life_get_to_the_studio(local, kind, passed) -> None:
    reached, sent = [], []

    async def app(scope, receive, send) -> None:
        reached.append((scope["type"], receive, send))

    async def receive() -> dict:
        return {"type": "websocket.connect"}

    async def send(message) -> None:
        sent.append(message)

    guard = security.Guard(app, local.studio, Rates(), security.Lockouts())
    asyncio.run(guard({"type": kind}, receive, send))
    assert reached == ([(kind, receive, send)] if passed else [])
    assert sent == []


def test_a_session_works_where_no_key_can_be_kept(run, tmp_path) -> None:
    (tmp_path / "studio-state").write_text("in the way", "utf-8")
    with serving([run], tmp_path, token=TOKEN) as served:
        status, headers, _ = ask(served, f"/?token={TOKEN}")
        assert status == 200
        cookie = headers["set-cookie"].split(";")[0]
        assert len(cookie.partition("=")[2]) == 64
        assert ask(served, "/api/nothing", headers={"Cookie": cookie})[0] == 404
        assert ask(served, "/api/nothing", headers={"Cookie": f"studio-{served.studio.port}="})[0] == 401


def test_links_are_listed_as_they_were_issued_and_end_when_they_were_to(tmp_path) -> None:
    links, run = Links(tmp_path / "state"), tmp_path / "run"
    before = time.time()
    issued = [links.issue(run, f"rater {number}", days=number) for number in (3, 1, 2)]
    assert links.of(run) == issued
    for link, days in zip(issued, (3, 1, 2), strict=True):
        assert before <= link.created_at <= time.time()
        assert link.expires_at == int(link.created_at + days * 86_400)
        assert link.root == run.resolve()
        assert link.revoked_at is None
    links.revoke(issued[1].id)
    revoked = links.of(run)[1]
    assert before <= revoked.revoked_at <= time.time()
    links.revoke(issued[1].id)
    assert links.of(run)[1].revoked_at == revoked.revoked_at
    assert [link.works for link in links.of(run)] == [True, False, True]
    assert len({link.id for link in issued}) == 3


def test_links_that_cannot_be_read_name_their_folder(tmp_path) -> None:
    links = Links(tmp_path / "state")
    links.issue(tmp_path, "Ann")
    (tmp_path / "state" / "links.sqlite").write_bytes(b"damaged" * 100)
    said = rf"^the studio cannot keep its links in {tmp_path}/state \(file is not a database\): see to its permissions$"
    with pytest.raises(UserError, match=said):
        links.of(tmp_path)


@pytest.mark.parametrize("expires", ["1" * 15, "9" * 14, "1" * 14, "²", "१", "", "-1", " 1", "1.0"])
def test_the_end_of_a_link_is_a_plain_number(tmp_path, expires) -> None:
    links = Links(tmp_path / "state")
    links.issue(tmp_path, "Ann")
    assert links.check(f"id.{expires}.signature") is None
