import asyncio
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("starlette", reason='needs the extra "studio"')
pytest.importorskip("krippendorff", reason='needs the extra "eval"')
pytest.importorskip("scipy", reason='needs the extra "eval"')

from browser import run_async
from chat_turns import send_turn
from rated_runs import responded_run
from studio_raters import Annotator, Asking, questions, set_up, the
from studio_server import serving


@pytest.fixture
def run(tmp_path):
    return responded_run(tmp_path / "run", dialogues=6)


@pytest.fixture
def served(run, tmp_path):
    with serving([run.root], tmp_path) as studio:
        yield studio


def rows(run, query="SELECT * FROM ratings"):
    with sqlite3.connect(run.ratings / "studio.sqlite") as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(query)]


def middling(task, question):
    return "3" if task["task"] == "likert" else "tie"


def test_from_set_up_to_the_runs_results(run, served):
    before = {path: path.read_bytes() for path in run.root.rglob("*.parquet")}
    owner, study = set_up(served.url)
    assert [one["name"] for one in study["raters"]] == ["ann", "bo"]
    for rater in study["raters"]:
        Annotator(served.url, rater["link"]).rate_all(middling)
    now = the(owner, study["id"])
    assert all(one["done"] == one["total"] > 0 for one in now["raters"])
    assert now["answers"] == len(rows(run))
    assert {path: path.read_bytes() for path in run.root.rglob("*.parquet")} == before
    assert not (run.ratings / "main" / "results.json").exists()
    owner.told("/api/rate/close", {"study": study["id"], "action": "finish", "resamples": 0})
    assert (
        json.loads((run.ratings / "main" / "results.json").read_text())["likert"]["empathy"]["models"][0]["mean"] == 3
    )
    assert len(pl.read_parquet(run.ratings / "main" / "ratings.parquet")) == now["answers"]
    assert "empathy" in the(owner, study["id"])["results"]["figures"][0]["svg"]
    status, content = owner.ask(f"/api/rate/export?study={study['id']}&format=csv")
    assert (status, content.count(b"\n")) == (200, now["answers"] + 1)
    assert owner.ask(f"/api/rate/export?study={study['id']}&format=xml")[0] == 400


def test_turns_of_the_chat_from_set_up_to_the_runs_results(run, served):
    owner = Asking(served.url)
    assert owner.told("/api/rate/studies")["chat"] == {"turns": 0, "models": []}
    chat = {"name": "main", "source": "chat", "models": ["moe", "endpoint:okapi"]}
    assert owner.ask("/api/rate/studies", {"raters": ["ann"], **chat})[0] == 400
    ids = {send_turn(run, f"it rains {i}", {"moe": f"how wet {i}", "endpoint:okapi": f"ok {i}"}) for i in range(3)}
    send_turn(run, "and snows", {"base": "brr"})
    assert owner.told("/api/rate/studies")["chat"] == {"turns": 4, "models": ["base", "moe", "endpoint:okapi"]}
    assert (
        owner.ask("/api/rate/studies", {"name": "main", "raters": ["ann"], "source": "web", "models": ["moe"]})[0]
        == 400
    )
    _, study = set_up(served.url, **chat, samples=50)
    assert (study["samples"], study["setup"]["source"]) == (3, "chat")
    for rater in study["raters"]:
        annotator = Annotator(served.url, rater["link"])
        sent = [annotator.page, annotator.ask("/api/rate/start")[1]]
        sent += [annotator.ask(f"/api/rate/task?place={place}")[1] for place in range(1, rater["total"] + 1)]
        assert b"how wet 0" in b"".join(sent)
        assert not any(name in b"".join(sent) for name in (b"moe", b"MOE", b"okapi", b"OKAPI", *map(str.encode, ids)))
        annotator.rate_all(lambda task, _: "4" if task["task"] == "likert" else "tie")
    owner.told("/api/rate/close", {"study": study["id"], "action": "finish", "resamples": 0})
    found = json.loads((run.ratings / "main" / "results.json").read_text())
    rated = found["likert"]["empathy"]["models"]
    assert [(one["name"], one["mean"], one["n"]) for one in rated] == [("moe", 4, 6), ("endpoint:okapi", 4, 6)]
    assert [(one["a"], one["b"], one["tie"]) for one in found["ab"]] == [("moe", "endpoint:okapi", 6)]
    assert set(pl.read_parquet(run.ratings / "main" / "ratings.parquet")["sample_id"]) == ids
    assert owner.ask(f"/api/rate/export?study={study['id']}&format=sheets")[0] == 200


def test_a_rater_is_told_nothing_that_tells_systems_apart(run, served, caplog):
    """Not by names, not by ids, not by what goes wrong; `moe` and `base` are the systems, `sensibility` an expert's."""
    _, study = set_up(served.url, samples=6)
    ann = Annotator(served.url, study["raters"][0]["link"])
    secret = json.loads(rows(run, "SELECT key FROM studies")[0]["key"])["secret"]
    assert len(bytes.fromhex(secret)) >= 16
    (run.generations / "moe.parquet").write_text("broken")
    paths = ["/rate", "/api/rate/start", "/api/rate/task?place=1", "/api/rate/task?place=99", "/api/rate/studies",
             f"/rate?run={run.root.name}&seed=0", "/lab", "/api/chat/models",
             f"/api/rate/export?study={study['id']}"]  # fmt: skip
    sent = [ann.page, *(ann.ask(path)[1] for path in paths)]
    (run.ratings / "studio.sqlite-moe").symlink_to("/etc/passwd")
    status, broken = ann.ask("/api/rate/start")
    assert (status, json.loads(broken)["error"]) == (
        503, "The rating cannot be used right now: tell whoever sent you the link."
    )  # fmt: skip
    assert "studio.sqlite-moe leads out of the run" in caplog.text
    for text in (*sent, broken):
        for name in (b"moe", b"sensibility", b"rationality", secret.encode(), b"seed", run.root.name.encode() + b"/"):
            assert name not in text, (name, text)


def test_the_same_design_in_two_studies_shows_two_orders(run, served):
    _, first = set_up(served.url, samples=6)
    _, second = set_up(served.url, name="again", samples=6)
    items = []
    for study in (first, second):
        ann = Annotator(served.url, study["raters"][0]["link"])
        items.append([ann.told(f"/api/rate/task?place={n}")["item"] for n in range(1, study["raters"][0]["total"] + 1)])
    assert set(items[0]).isdisjoint(items[1])


def test_a_closed_rating_takes_nothing_until_it_is_open_again(run, served):
    owner, study = set_up(served.url)
    ann = Annotator(served.url, study["raters"][0]["link"])
    ann.rate_all(middling, [1])
    task = ann.told("/api/rate/task?place=2")
    owner.told("/api/rate/close", {"study": study["id"], "action": "finish", "resamples": 0})
    assert ann.told("/api/rate/start")["closed"] is True
    for answer in (ann.rate(task, "empathy", "3", "late-late"), ann.ask("/api/rate/task?place=2")):
        assert answer[0] == 410
        assert b"is kept" in answer[1]
    assert ann.ask("/api/rate/undo", {"submission": "late-undo"})[0] == 410
    owner.told("/api/rate/close", {"study": study["id"], "action": "reopen"})
    assert ann.rate(task, "empathy", "3", "late-late")[0] == 200


def test_wrong_expired_and_withdrawn_links_open_nothing(run, served):
    owner, study = set_up(served.url)
    expired = served.studio.links.issue(run.root, "ann", days=-1)
    altered = f"{study['raters'][0]['link']}0"
    for link in (expired.path, "/rate?link=abc", "/rate?link=abc.1.def", altered):
        stranger = Annotator(served.url, link)
        assert stranger.status == 401
        assert not stranger.cookies
    eve = Annotator(served.url, served.studio.links.issue(run.root, "eve").path)
    assert eve.ask("/api/rate/start")[0] == 403  # a link, but no rater's
    renew = {"study": study["id"], "rater": "ann", "action": "renew", "days": 1}
    owner.told("/api/rate/links", renew)
    first = Annotator(served.url, the(owner, study["id"])["raters"][0]["link"])
    first.rate_all(middling, [1])
    owner.told("/api/rate/links", renew)
    assert first.ask("/api/rate/start")[0] == 401
    second = Annotator(served.url, the(owner, study["id"])["raters"][0]["link"])
    assert second.told("/api/rate/start")["done"] == 1  # they go on where they were
    owner.told("/api/rate/links", renew | {"action": "revoke"})
    assert second.ask("/api/rate/task?place=1")[0] == 401
    assert the(owner, study["id"])["raters"][0]["link"] is None


def test_an_annotator_reaches_nothing_of_the_owner_nor_of_another(run, served):
    owner, study = set_up(served.url)
    ann, bo = (Annotator(served.url, rater["link"]) for rater in study["raters"])
    task = bo.told("/api/rate/task?place=1")
    bo.rate(task, "empathy", "5", "bos-own-1")
    assert ann.rate(task, "empathy", "1", "not-mine")[0] == 404
    mine = [ann.told(f"/api/rate/task?place={n}") for n in range(1, ann.told("/api/rate/start")["total"] + 1)]
    assert task["item"] not in [one["item"] for one in mine]
    assert all(one["answers"] == {} for one in mine)
    closing = {"study": study["id"], "action": "finish"}
    for path, body in [
        ("/api/rate/studies", None), (f"/api/rate/export?study={study['id']}", None), ("/api/rate/close", closing),
        ("/api/rate/studies", {"name": "hers", "models": ["moe"], "raters": ["eve"]}),
        ("/lab", None), ("/samples", None), ("/", None),
        ("/api/rate/links", {"study": study["id"], "rater": "bo", "action": "renew"}),
    ]:  # fmt: skip
        status, content = ann.ask(path, body)
        assert status == 403, (path, content)
        assert b"moe" not in content
    assert owner.ask("/api/rate/start")[0] == 403
    assert len(rows(run)) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"value": "6"}, 400), ({"value": ""}, 200), ({"value": "<b>"}, 400), ({"question": "better"}, 400),
        ({"question": "comment", "value": "x" * 2001}, 400), ({"question": "comment", "value": "fine"}, 200),
        ({"item": "bcdfgh"}, 404), ({"milliseconds": -1}, 400), ({"submission": "short"}, 400), ({"rater": "bo"}, 400),
        ({"value": 3}, 400), ({"value": None}, 400),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(served, change, status):
    _, study = set_up(served.url)
    ann = Annotator(served.url, study["raters"][0]["link"])
    task = ann.told("/api/rate/task?place=1")
    body = {"item": task["item"], "question": "empathy", "value": "3", "milliseconds": 5, "submission": "a-good-one"}
    found = ann.ask("/api/rate/answer", body | change)
    assert found[0] == status
    assert status == 200 or json.loads(found[1])["error"]


def test_requests_that_say_nothing_are_refused(served):
    owner, study = set_up(served.url)
    ann = Annotator(served.url, study["raters"][0]["link"])
    for place in ("0", "999", "-1", "x", "", "1e3", "٣"):
        assert ann.ask(f"/api/rate/task?{_query(place)}")[0] == 404
    assert owner.ask("/api/rate/studies", [])[0] == 400
    assert owner.ask("/api/rate/studies", {"name": "main", "models": ["nobody"], "raters": ["ann"]})[0] == 400
    assert owner.ask("/api/rate/close", {"study": "nothing", "action": "finish"})[0] == 400


def _query(place):
    from urllib.parse import urlencode

    return urlencode({"place": place})


def test_no_byte_to_an_annotator_names_a_model_the_run_or_a_sample(tmp_path):
    said = {"zebra-7b": lambda i: f"oh dear {i}", "quokka-moe": lambda i: f"what happened {i}"}
    run = responded_run(tmp_path / "okapi-run", dialogues=4, responses=said)
    with serving([run.root], tmp_path) as served:
        _, study = set_up(served.url, models=[*said, "reference"], raters=["ann"], samples=3,
                          questionnaire=questions(("likert", "ab"), "by-dimension"))  # fmt: skip
        ann = Annotator(served.url, study["raters"][0]["link"])
        bodies = [ann.page, ann.ask("/rate")[1], ann.ask("/rate?run=okapi-run")[1]]
        start = ann.told("/api/rate/start")
        bodies.append(json.dumps(start).encode())
        for place in range(1, start["total"] + 1):
            bodies.append(ann.ask(f"/api/rate/task?place={place}")[1])
            task = json.loads(bodies[-1])
            name = start["questions"][task["task"]][0]["name"]
            bodies.append(ann.rate(task, name, middling(task, name), f"blind-{place:03}")[1])
        bodies += [
            ann.ask("/api/rate/undo", {"submission": "blind-undo"})[1],
            ann.ask("/nothing")[1],
            ann.ask("/lab")[1],
        ]
        sent = b"\n".join(bodies)
        for name in ("zebra", "quokka", "okapi", "reference", str(tmp_path)):
            assert name.encode() not in sent, name
        samples = pl.read_parquet(run.samples)["sample_id"].to_list()
        assert not any(sample.encode() in sent for sample in samples)


def test_sides_are_drawn_for_every_rater_and_kept_with_each_rating(run, served):
    _, study = set_up(served.url, raters=[f"r{i}" for i in range(6)], samples=6, repeats=0,
                      questionnaire=questions(("ab",)))  # fmt: skip
    for rater in study["raters"]:
        Annotator(served.url, rater["link"]).rate_all(lambda task, question: "left")
    sides = Counter(row["sides"] for row in rows(run))
    assert set(sides) == {'[["moe"], ["base"]]', '[["base"], ["moe"]]'}
    assert min(sides.values()) > 6
    assert [row["place"] for row in rows(run)] == list(range(1, 7)) * 6


def test_fifty_raters_at_once_lose_nothing(run, served, capsys):
    _, study = set_up(served.url, raters=[f"rater-{i}" for i in range(50)], samples=1)
    times, sent = [], []
    everyone = run_async(_all_at_once(served.url, [one["link"] for one in study["raters"]], times, sent))
    kept = rows(run, "SELECT n.name, r.* FROM ratings r JOIN raters n ON n.id = r.rater")
    assert everyone == 50
    assert {(row["submission"], row["value"]) for row in kept} == set(sent)
    assert len(kept) == len(sent) == len({row["submission"] for row in kept}) > 600
    p95 = float(np.quantile(times, 0.95))
    with capsys.disabled():
        print(f"\n50 raters at once: {len(kept):,} ratings, p50 {np.median(times):.3f} s, p95 {p95:.3f} s")
    assert p95 < 5


async def _all_at_once(url, links, times, sent):
    aiohttp = pytest.importorskip("aiohttp")
    headers = {"Origin": url, "X-Studio": "1"}

    async def one(number, link):
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers=headers) as session:
            await (await session.get(url + link)).read()
            start = await (await session.get(f"{url}/api/rate/start")).json()
            for place in range(1, start["total"] + 1):
                task = await (await session.get(f"{url}/api/rate/task?place={place}")).json()
                for question in start["questions"][task["task"]]:
                    likert = task["task"] == "likert"
                    value = str(number % 5 + 1) if likert else ("left", "tie", "right")[number % 3]
                    body = {"item": task["item"], "question": question["name"], "value": value, "milliseconds": 7,
                            "submission": f"{number}-{task['item']}-{question['name']}"}  # fmt: skip
                    for _ in range(1 + (place == 1)):  # the first answers are sent twice
                        began = time.perf_counter()
                        async with session.post(f"{url}/api/rate/answer", json=body) as answer:
                            assert answer.status == 200, await answer.text()
                        times.append(time.perf_counter() - began)
                    sent.append((body["submission"], value))
        return 1

    return sum(await asyncio.gather(*(one(number, link) for number, link in enumerate(links))))


SERVER = """
import sys
from pathlib import Path
from efficient_empathy.studio.server.app import make_app
from efficient_empathy.web.server import listen, serve
run, folder, port = sys.argv[1:]
app = make_app([Path(run)], port=int(port), folder=Path(folder))
listening = listen("127.0.0.1", int(port))
print("ready", flush=True)
serve(app, listening)
"""


def test_a_killed_studio_has_every_rating_that_it_acknowledged(run, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, folder = f"http://127.0.0.1:{port}", tmp_path / "state"
    command = [sys.executable, "-c", SERVER, str(run.root), str(folder), str(port)]
    server = _started(command)
    _, study = set_up(url, raters=["r0", "r1", "r2", "r3"], samples=12)
    acknowledged, enough = [], threading.Event()

    def rate(link):
        rater = Annotator(url, link)
        try:
            start = rater.told("/api/rate/start")
            for place in range(1, start["total"] + 1):
                task = rater.told(f"/api/rate/task?place={place}")
                for one in start["questions"][task["task"]]:
                    submission = f"{one['name']}-{task['item']}"
                    if rater.rate(task, one["name"], middling(task, one["name"]), submission)[0] == 200:
                        acknowledged.append(submission)
                        if len(acknowledged) > 60:
                            enough.set()
        except (OSError, http.client.HTTPException):
            return  # the studio is gone

    threads = [threading.Thread(target=rate, args=(one["link"],)) for one in study["raters"]]
    for thread in threads:
        thread.start()
    assert enough.wait(30)
    os.kill(server.pid, signal.SIGKILL)
    server.wait(10)
    for thread in threads:
        thread.join(30)
    kept = {row["submission"] for row in rows(run)}
    assert set(acknowledged) <= kept
    assert len(kept) - len(acknowledged) <= len(threads)  # at most what was on its way
    again = _started(command)
    try:
        rater = Annotator(url, study["raters"][0]["link"])
        start = rater.told("/api/rate/start")
        assert 0 < start["done"] < start["total"]
        assert start["next"] == start["done"] + 1  # and they go on where they were
    finally:
        again.terminate()
        again.wait(10)


def _started(command):
    source = Path(__file__).parents[4] / "src"
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(source)}
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return server


def test_the_owner_alone_sees_progress_while_others_rate(served):
    owner, study = set_up(served.url)
    Annotator(served.url, study["raters"][0]["link"]).rate_all(middling, [1])
    now = the(owner, study["id"])
    assert [one["done"] for one in now["raters"]] == [1, 0]
    assert now["raters"][0]["seconds"] == 0.9
    assert Asking(served.url).ask("/api/rate/studies?run=nothing")[0] == 400
