import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import quote

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from browser import open_page
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.server.app import make_app
from efficient_empathy.studio.server.security import checked_token
from efficient_empathy.web.rates import Lockouts, Rates
from selected_runs import selected_run
from studio_server import ask, serving

TOKEN = "a-token-of-the-owner"
LIMIT = 1 << 20


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [selected_run(folder / name, dialogues=6).root for name in ("first", "second")]


@pytest.fixture(scope="module")
def local(runs, tmp_path_factory):
    with serving(runs, tmp_path_factory.mktemp("local")) as served:
        yield served


@pytest.fixture(scope="module")
def guarded(runs, tmp_path_factory):
    with serving(runs, tmp_path_factory.mktemp("guarded"), token=TOKEN, lockouts=Lockouts(free=10**6)) as served:
        yield served


def cookie_of(headers) -> str:
    return headers["set-cookie"].split(";")[0]


def test_everything_is_answered_with_what_browsers_may_do(local) -> None:
    for path in ("/", "/nothing", "/static/x/nothing", "/api/nothing", local.studio.static.address("studio.css")):
        _, headers, _ = ask(local, path)
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
        assert headers["cache-control"] == "no-store" or path.startswith("/static/")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8321", "192.168.1.4", "localhost.evil.example", ""])
def test_another_name_that_points_here_gets_nothing(local, host) -> None:
    status, _, text = ask(local, "/", headers={"Host": host})
    assert status == 403
    assert "This address is not the studio&#39;s" in text
    assert "first" not in text
    assert ask(local, "/", headers={"Host": f"localhost:{local.studio.port}"})[0] == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1"])
def test_a_page_elsewhere_cannot_ask_for_anything(local, method, origin) -> None:
    status, headers, text = ask(local, "/api/rate/x", method, {"Origin": origin})
    assert (status, json.loads(text)) == (403, {"error": "The studio answers its own pages only."})
    assert "access-control-allow-origin" not in headers


def test_a_page_elsewhere_cannot_ask_from_within_a_browser(local, browser) -> None:
    """A page on another port of this machine: it can neither read, post, frame, nor take what lies here."""
    own = f"http://127.0.0.1:{local.studio.port}"
    script = """async (own) => {
        const tries = { read: () => fetch(own + "/"), post: () => fetch(own + "/api/x", { method: "POST" }),
                        blind: () => fetch(own + "/", { mode: "no-cors" }) };
        const found = {};
        for (const [name, ask] of Object.entries(tries)) found[name] = await ask().then(() => "came", () => "failed");
        return found;
    }"""
    with page_elsewhere("<p>elsewhere") as elsewhere:
        page = open_page(browser, elsewhere).page
        assert page.evaluate(script, own) == {"read": "failed", "post": "failed", "blind": "failed"}


def test_without_the_token_nothing_is_shown(guarded) -> None:
    for path in ("/", "/lab", "/samples?run=first", "/nothing", "/api/lab/cube"):
        status, _, text = ask(guarded, path)
        assert status == 401
        assert "The studio needs its token" in re.sub("&#39;", "'", text)
        assert "first" not in text
    for wrong in ("/?token=wrong", f"/?token={TOKEN}0", "/?token=", "/?token=%C3%A9"):
        assert ask(guarded, wrong)[0] == 401
    assert ask(guarded, "/", headers={"Cookie": f"studio-{guarded.studio.port}=wrong"})[0] == 401
    assert ask(guarded, "/", headers={"Authorization": "Bearer wrong"})[0] == 401
    assert ask(guarded, guarded.studio.static.address("studio.css"))[0] == 200


def almost(secret: str) -> list[str]:
    """What is not a secret but looks much like it: parts of it, more than it, another case, blanks, other alphabets."""
    parts = [secret[:n] for n in range(len(secret))] + [secret[n:] for n in range(1, len(secret))]
    more = [secret + "0", "0" + secret, secret * 2, f" {secret}", f"{secret}.", f"{secret}%00", secret + "\u0301"]
    one_off = [secret[:n] + ("0" if secret[n] != "0" else "1") + secret[n + 1 :] for n in range(len(secret))]
    other = [secret.upper(), secret.swapcase(), secret.title(), secret[::-1], "*", "None", "true"]
    return [one for one in dict.fromkeys([*parts, *more, *one_off, *other]) if one != secret]


@pytest.mark.parametrize("way", ["query", "header"])
def test_what_is_almost_the_token_is_refused_however_it_comes(runs, tmp_path, way) -> None:
    with serving(runs, tmp_path, token=TOKEN, rates=Rates(1e6, 1e6), lockouts=Lockouts(free=10**6)) as served:

        def status(token: str, path: str = "/api/rate/studies?run=first") -> int:
            sent = {
                "query": {"path": f"{path}&token={quote(token)}"},
                "header": {"headers": {"Authorization": f"Bearer {quote(token, safe=' ')}"}},
            }[way]
            return ask(served, **{"path": path, **sent})[0]

        assert status(TOKEN) == 200
        assert {token: code for token in almost(TOKEN) if (code := status(token)) != 401} == {}


def test_what_is_almost_the_owners_session_is_refused_and_so_is_the_token_in_its_place(runs, tmp_path) -> None:
    with serving(runs, tmp_path, token=TOKEN, rates=Rates(1e6, 1e6)) as served:
        name, _, session = cookie_of(ask(served, f"/?token={TOKEN}")[1]).partition("=")
        assert len(session) == 64
        assert TOKEN not in session

        def status(value: str) -> int:
            return ask(served, "/api/rate/studies?run=first", headers={"Cookie": f"{name}={quote(value, safe='')}"})[0]

        assert status(session) == 200
        assert {
            value: code for value in (*almost(session), *almost(TOKEN), TOKEN) if (code := status(value)) != 401
        } == {}
        assert ask(served, "/", headers={"Cookie": f"{name}={session}; {name}=0"})[0] == 401


def test_a_session_lasts_over_a_restart_and_no_longer_than_its_token(runs, tmp_path) -> None:
    sessions = []
    for token in (TOKEN, TOKEN, TOKEN + "0"):
        with serving(runs, tmp_path, token=token) as served:
            sessions.append(cookie_of(ask(served, f"/?token={token}")[1]).partition("=")[2])
    with serving(runs, tmp_path / "another-users", token=TOKEN) as served:
        sessions.append(cookie_of(ask(served, f"/?token={TOKEN}")[1]).partition("=")[2])
    assert sessions[0] == sessions[1]
    assert len(set(sessions)) == 3


def test_the_whole_token_in_one_place_does_not_excuse_a_part_of_it_in_another(runs, tmp_path) -> None:
    with serving(runs, tmp_path, token=TOKEN, rates=Rates(1e6, 1e6), lockouts=Lockouts(free=10**6)) as served:
        name = f"studio-{served.studio.port}"
        cookie = {"Cookie": cookie_of(ask(served, f"/?token={TOKEN}")[1])}
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        for wrong in (TOKEN[:-1], TOKEN[:1], TOKEN.upper()):
            assert ask(served, f"/?token={wrong}", headers=cookie)[0] == 401
            assert ask(served, "/", headers={**cookie, "Authorization": f"Bearer {wrong}"})[0] == 401
            assert ask(served, "/", headers={**bearer, "Cookie": f"{name}={wrong}"})[0] == 200
        assert ask(served, "/", headers={"Authorization": f"bearer {TOKEN}"})[0] == 200
        for header in (TOKEN, f"bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer", "Bearer "):
            assert ask(served, "/", headers={"Authorization": header})[0] == 401


@pytest.mark.parametrize("way", ["query", "cookie"])
def test_what_is_almost_a_raters_link_is_refused_however_it_comes(runs, tmp_path, way) -> None:
    with serving(runs, tmp_path, token=TOKEN, rates=Rates(1e6, 1e6), lockouts=Lockouts(free=10**6)) as served:
        key = served.studio.links.issue(runs[0], "Ann").key

        def status(link: str) -> int:
            if way == "query":
                return ask(served, f"/rate?link={quote(link, safe='')}")[0]
            return ask(served, "/rate", headers={"Cookie": f"studio-rate-{served.studio.port}={quote(link, safe='')}"})[
                0
            ]

        assert status(key) == 200
        assert {link: code for link in almost(key) if (code := status(link)) != 401} == {}
        id_, expires, signature = key.split(".")
        for link in (f"{id_.swapcase()}.{expires}.{signature}", f"{id_}.{expires}.{signature.upper()}", TOKEN, id_):
            assert status(link) == 401


def test_a_studio_cannot_be_made_with_a_token_that_is_empty_or_short(runs, tmp_path) -> None:
    for token in ("", TOKEN[:15]):
        with pytest.raises(UserError, match="at least 16 characters"):
            make_app(runs, token=token, folder=tmp_path)


def test_the_token_moves_from_the_address_into_a_cookie(guarded) -> None:
    status, headers, text = ask(guarded, f"/compare?run=second&token={TOKEN}&with=a%22b")
    assert status == 200
    assert 'content="0;url=/compare?run=second&amp;with=a%22b"' in text
    assert TOKEN not in text
    cookie = headers["set-cookie"]
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {"httponly", "path=/", "samesite=strict"}
    assert ask(guarded, "/", headers={"Cookie": cookie_of(headers)})[0] == 200
    assert ask(guarded, "/", headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200


def test_the_address_that_goes_on_stays_here(guarded) -> None:
    _, _, text = ask(guarded, f"//evil.example/x?token={TOKEN}")
    assert "url=/evil.example/x" in text


def test_a_browser_that_comes_with_the_token_is_let_in_and_the_address_forgets_it(guarded, browser) -> None:
    """By the printed address, and by a link on another site, where a strict cookie would not follow a redirect."""
    own = f"http://localhost:{guarded.studio.port}/?token={TOKEN}"
    with page_elsewhere(f'<a href="{own}">the studio</a>') as elsewhere:
        visits = [open_page(browser, own), open_page(browser, elsewhere)]
        visits[1].page.get_by_role("link").click()
        for visit in visits:
            visit.page.get_by_role("heading", name="Runs", exact=True).wait_for()
            assert visit.page.url == own.split("?")[0]
            assert visit.console == []
            assert visit.page.evaluate("document.cookie") == ""


@pytest.mark.parametrize(
    "token", ["short", "with a space in it all", "ünïcödeünïcödeünïcöde", "a" * 15, "a&b=cdefghijklmnop"]
)
def test_a_token_of_ones_own_must_be_long_and_fit_in_an_address(token) -> None:
    with pytest.raises(UserError, match="at least 16 characters"):
        checked_token(token)
    assert checked_token(TOKEN) == TOKEN


def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_so(local) -> None:
    async def measure(request: Request) -> JSONResponse:
        return JSONResponse(len(await request.body()))

    local.app.router.routes.append(Route("/api/measure", measure, methods=["POST"]))
    whole, too_much = [b"x" * 65536] * 16, [b"x" * 65536] * 16 + [b"x"]
    for chunks, expected in ((whole, 200), (too_much, 413)):
        told = ask(local, "/api/measure", "POST", body=b"".join(chunks)) if expected == 200 else None
        untold = ask(local, "/api/measure", "POST", body=iter(chunks))
        assert untold[0] == expected
        assert told is None or told[2] == f"{LIMIT}"
    status, _, text = ask(local, "/api/measure", "POST", {"Content-Length": str(LIMIT + 1)})
    assert (status, json.loads(text)["error"]) == (413, "The request is larger than 1,048,576 bytes.")
    assert ask(local, "/api/measure", "POST", {"Content-Length": "-5"})[0] in (400, 413)


def test_who_asks_too_fast_has_to_wait_and_others_do_not(runs, tmp_path) -> None:
    with serving(runs, tmp_path, rates=Rates(per_second=0.1, burst=5)) as served:
        link = served.studio.links.issue(runs[0], "Ann")
        _, headers, _ = ask(served, link.path)
        statuses = [ask(served, "/")[0] for _ in range(6)]
        assert statuses == [200, 200, 200, 200, 429, 429]
        status, waiting, _ = ask(served, "/api/x")
        assert status == 429
        assert 1 <= int(waiting["retry-after"]) <= 10
        assert ask(served, served.studio.static.address("studio.css"))[0] == 200
        assert ask(served, "/rate", headers={"Cookie": cookie_of(headers)})[0] != 429


@pytest.mark.parametrize("way", ["token", "bearer", "link"])
def test_who_shows_wrong_secrets_has_to_wait_and_nobody_else_has_to(runs, tmp_path, way) -> None:
    with serving(runs, tmp_path, token=TOKEN, lockouts=Lockouts(first_s=60)) as served:
        session = {"Cookie": cookie_of(ask(served, f"/?token={TOKEN}")[1])}
        link = served.studio.links.issue(runs[0], "Ann").path

        def shown(secret: str, source: str = "127.0.0.1") -> int:
            if way == "bearer":
                return ask(served, "/", headers={"Authorization": f"Bearer {secret}"}, source=source)[0]
            return ask(served, f"/?token={secret}" if way == "token" else f"/rate?link={secret}", source=source)[0]

        assert [shown(f"{n:020}") for n in range(7)] == [401] * 5 + [429] * 2
        status, headers, text = ask(served, f"/api/x?token={TOKEN}")
        assert (status, int(headers["retry-after"])) == (429, 60)
        assert json.loads(text)["error"] == "Too many wrong tokens or links came from your address: try again in 60 s."
        assert ask(served, f"/?token={TOKEN}", source="127.0.0.2")[0] == 200
        assert shown("0" * 20, "127.0.0.2") == 401
        for path in ("/", "/api/rate/studies?run=first", f"/?token={TOKEN}"):
            assert ask(served, path, headers=session)[0] == 200, "who is in stays in, at the same address too"
        assert ask(served, link)[0] == 200, "a right link can be no guess"


def test_who_has_lost_the_session_is_locked_out_of_nothing(runs, tmp_path) -> None:
    """An open page of an earlier studio asks on and on."""
    with serving(runs, tmp_path, token=TOKEN) as served:
        for kind in ("studio", "studio-rate"):
            cookie = {"Cookie": f"{kind}-{served.studio.port}=of-an-earlier-studio"}
            assert {ask(served, "/api/live/events", headers=cookie)[0] for _ in range(20)} == {401}
        assert ask(served, f"/?token={TOKEN}")[0] == 200


def test_the_owner_in_session_is_not_slowed_down_by_others_at_the_same_address(runs, tmp_path) -> None:
    with serving(runs, tmp_path, token=TOKEN, rates=Rates(per_second=0.001, burst=10)) as served:
        session = {"Cookie": cookie_of(ask(served, f"/?token={TOKEN}")[1])}
        assert {ask(served, "/")[0] for _ in range(20)} == {401, 429}
        assert ask(served, "/", headers=session)[0] == 200


def test_behind_a_proxy_the_studio_goes_by_its_names_there(runs, tmp_path) -> None:
    names = ("studio.example.org", "other.example.org:8443")
    with serving(runs, tmp_path, token=TOKEN, allowed_hosts=names) as served:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        for host, status in {
            "studio.example.org": 200, "STUDIO.example.org:443": 200, "other.example.org:8443": 200, "localhost:1": 200,
            "other.example.org": 403, "example.org": 403, "x.studio.example.org": 403, "studio.example.org.": 403,
            "studio.example.org.evil.example": 403, "studio.example.org:x": 403, "studio.example.org@evil.example": 403,
        }.items():  # fmt: skip
            assert ask(served, "/", headers={**bearer, "Host": host})[0] == status, host
        own = {**bearer, "Host": "127.0.0.1:8321"}
        for origin, status in {
            "https://studio.example.org": 200, "https://other.example.org:8443": 200, "http://127.0.0.1:8321": 200,
            "https://evil.example": 403, "https://studio.example.org:8443": 403, "https://studio.example.org.evil": 403,
            "null": 403,
        }.items():  # fmt: skip
            assert ask(served, "/api/rate/studies", headers={**own, "Origin": origin})[0] == status, origin


def test_behind_https_the_cookies_are_sent_over_it_alone(runs, tmp_path) -> None:
    with serving(runs, tmp_path, token=TOKEN, allowed_hosts=("studio.example.org",)) as served:
        for path in (f"/?token={TOKEN}", served.studio.links.issue(runs[0], "Ann").path):
            forwarded = {"Host": "studio.example.org", "X-Forwarded-Proto": "https"}
            assert "secure" in ask(served, path, headers=forwarded)[1]["set-cookie"].lower()
            assert "secure" not in ask(served, path)[1]["set-cookie"].lower()


def test_a_link_opens_the_rating_of_its_run_and_nothing_else(guarded, runs) -> None:
    link = guarded.studio.links.issue(runs[1], "Ann")
    status, headers, text = ask(guarded, link.path)
    assert status == 200
    assert "url=/rate" in text
    assert link.key not in text
    assert "httponly" in headers["set-cookie"].lower()
    session = {"Cookie": cookie_of(headers)}
    for path in ("/", "/lab?run=second", "/samples", "/api/samples/list", "/rateX", "/api/rating/x", "/rate/../lab",
                 "/api/rate/../samples/list", "/live", "/api/live/events"):  # fmt: skip
        status, _, text = ask(guarded, path, headers=session)
        assert status in (403, 404), path
        assert status == 403 or "/rate/" in path
    assert ask(guarded, "/lab", headers={**session, "Authorization": f"Bearer {TOKEN}"})[0] == 403
    status, _, text = ask(guarded, "/rate?run=first", headers=session)
    assert status == 200
    assert "first" not in text
    assert "Ann" in text
    assert "/samples" not in text


def test_a_link_that_ended_opens_nothing_and_its_session_neither(guarded, runs) -> None:
    link = guarded.studio.links.issue(runs[0], "Bo")
    _, headers, _ = ask(guarded, link.path)
    session = {"Cookie": cookie_of(headers)}
    assert ask(guarded, "/rate", headers=session)[0] == 200
    guarded.studio.links.revoke(link.id)
    status, headers, text = ask(guarded, "/rate", headers=session)
    assert status == 401
    assert "ended or was withdrawn" in text
    assert "Max-Age=0" in headers["set-cookie"]
    assert ask(guarded, link.path)[0] == 401
    assert ask(guarded, f"/rate?link={link.key[:-1]}")[0] == 401


def test_a_link_to_a_run_that_is_not_here_opens_nothing(guarded, tmp_path) -> None:
    assert ask(guarded, guarded.studio.links.issue(tmp_path, "Cy").path)[0] == 401


def test_an_annotator_who_leaves_is_an_annotator_no_more(guarded, runs) -> None:
    _, headers, _ = ask(guarded, guarded.studio.links.issue(runs[0], "Di").path)
    status, headers, _ = ask(guarded, "/leave", headers={"Cookie": cookie_of(headers)})
    assert (status, headers["location"]) == (303, "/")
    assert "Max-Age=0" in headers["set-cookie"]


def test_a_read_only_studio_takes_nothing(runs, tmp_path) -> None:
    with serving(runs, tmp_path, read_only=True) as served:
        assert ask(served, "/")[0] == 200
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            status, _, text = ask(served, "/api/rate/x", method)
            assert (status, json.loads(text)) == (403, {"error": "This studio is read-only."})


@pytest.mark.parametrize(
    "path",
    ["/static/../context.py", "/static/x/..%2f..%2fcontext.py", "/static/x/%2e%2e/context.py", "/../../etc/passwd",
     "/static/x//etc/passwd", "/static/x/studio.css%00", "/lab?run=../first", "/lab?run=%2Fetc", "/static/x/app.py"],
)  # fmt: skip
def test_no_address_leads_out(local, path) -> None:
    status, _, text = ask(local, path)
    assert status in (400, 404), text[:200]
    assert "import" not in text
    assert "root:" not in text


@contextmanager
def page_elsewhere(html: str):
    """A page of another site: another name and port."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f"<!doctype html><link rel=icon href=data:,>{html}".encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
