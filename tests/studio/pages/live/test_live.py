import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from browser import axe, open_page, run_async, text_of, visit_url
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Judgement, JudgeSpec, Ledger
from efficient_empathy.scoring.panel import Panel
from efficient_empathy.scoring.progress import PROGRESS
from efficient_empathy.scoring.rubric import Axis, Rubric, keep_rubric
from efficient_empathy.studio.pages.live.control import Control, scoring_state
from efficient_empathy.studio.pages.live.routes import Watch
from efficient_empathy.studio.server.jobs import Jobs
from manifest_entries import write_entry
from misbehaving_server import MisbehavingServer
from misbehaviours import Behaviour, ok, prose, refusal
from scored_runs import SPEC, numbered, write_run
from signs_of_life import told
from studio_server import ask, serving

N = 240
SECOND = JudgeSpec(judge="second", rubric="0123456789abcdef")
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    gate, deadline = threading.Event(), seconds
    while not condition():
        assert deadline > 0, "it does not come about"
        gate.wait(0.02)
        deadline -= 0.02


def source(folder: Path, n: int = N) -> Path:
    path = folder / "dialogues.jsonl"
    turns = [
        [{"role": "user", "content": f"I lost my keys {i}"}, {"role": "assistant", "content": "Oh no."}]
        for i in range(n)
    ]
    path.write_text("".join(json.dumps({"messages": one}) + "\n" for one in turns))
    return path


class Pace:
    """Scores that fill the map, and now and then none; no call is answered before `allowed` says so."""

    def __init__(self) -> None:
        self.allowed = 40

    def __call__(self, body: dict, number: int) -> Behaviour:
        async def respond(request: web.Request, released: asyncio.Event) -> web.StreamResponse:
            while number >= self.allowed and not released.is_set():  # noqa: ASYNC110 - another thread says when
                await asyncio.sleep(0.02)
            return await self._answer(number).respond(request, released)

        return Behaviour(respond)

    def _answer(self, number: int) -> Behaviour:
        if number % 25 == 7:
            return prose() if number % 2 else refusal()
        return ok(json.dumps({"sensibility": number % 11, "rationality": (number // 11) % 11}))


class Scoring:
    """A real `score` process against a server on this machine."""

    def __init__(self, folder: Path, server: MisbehavingServer) -> None:
        self.run = Workspace(folder / "run")
        self.arguments = [
            "score", str(source(folder)), "--run", "run", "--judge", "openai", "--model", "gpt-4o-mini",
            "--base-url", server.url, "--concurrency", "4",
        ]  # fmt: skip
        self.folder = folder

    def start(self) -> subprocess.Popen:
        command = [sys.executable, "-m", "efficient_empathy", *self.arguments]
        environment = {**os.environ, "OPENAI_API_KEY": "tok-0123456789abcdef"}
        return subprocess.Popen(command, cwd=self.folder, env=environment, stderr=subprocess.DEVNULL)

    def start_in_background(self, wrapper: str) -> int:
        """Start it as a shell script does, which ends at once: the number of the process that goes on."""
        command = shlex.join([sys.executable, "-m", "efficient_empathy", *self.arguments])
        script = f"{wrapper} {command} >log 2>&1 & echo $!"
        environment = {**os.environ, "OPENAI_API_KEY": "tok-0123456789abcdef"}
        shell = subprocess.run(["sh", "-c", script], cwd=self.folder, env=environment, capture_output=True, check=True)
        return int(shell.stdout)

    def judged(self) -> int:
        if not self.run.ledger.exists():
            return 0
        try:
            with Ledger(self.run.ledger, read_only=True) as ledger:
                return sum(j.state == "ok" for j in ledger.judgements())
        except UserError:  # it is just being made
            return 0


@contextmanager
def scoring(folder: Path) -> Iterator[tuple[Scoring, subprocess.Popen, Pace]]:
    pace = Pace()
    with MisbehavingServer(pace) as server:
        one = Scoring(folder, server)
        process = one.start()
        try:
            until(lambda: one.judged() > 3)
            yield one, process, pace
        finally:
            process.kill()
            process.wait()
            scoring = scoring_state(one.run)
            if scoring.report and scoring.condition in ("running", "stopping"):
                os.kill(scoring.report.pid, signal.SIGKILL)


def test_a_run_is_watched_killed_resumed_and_stopped(tmp_path, monkeypatch, browser) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "tok-0123456789abcdef")
    with (
        scoring(tmp_path) as (one, process, pace),
        serving([one.run.root], tmp_path) as served,
        visit_url(browser, f"{served.url}/live?run=run") as visit,
    ):
        page = visit.page
        page.set_default_timeout(30_000)
        state, done = page.locator("#state"), page.locator("#done")
        page.locator("body[data-condition=running]").wait_for()
        until(lambda: int(done.inner_text()) >= 12)
        assert "of 240" in page.locator("#done-note").inner_text()
        page.locator("#rate", has_text="/s").wait_for()
        assert page.locator("#in-flight-note").inner_text() == "of 4 at most now"
        assert page.locator("#cost").inner_text().startswith("$0.00")
        page.locator("#map .count:not(:empty)").nth(7).wait_for()
        page.get_by_text("refusals").or_(page.get_by_text("unreadable replies")).first.wait_for()
        text_of(page)

        process.kill()
        process.wait()
        page.locator("body[data-condition=died]").wait_for()
        assert state.inner_text() == "Died"
        assert str(process.pid) in page.locator("#sentence").inner_text()
        before = one.judged()
        pace.allowed += 60

        page.get_by_role("button", name="Go on").click()
        page.locator("body[data-condition=running]").wait_for()
        until(lambda: int(done.inner_text()) > before + 40)
        again = scoring_state(one.run).report
        assert again is not None
        assert again.pid != process.pid
        assert again.counts.done_at_start == before

        page.get_by_role("button", name="Stop").click()
        page.locator("body[data-condition=stopping]").wait_for()
        pace.allowed = N * 2
        page.locator("body[data-condition=stopped]").wait_for()
        assert not page.get_by_role("button", name="Stop").is_visible()
        page.get_by_role("button", name="Go on").wait_for()
        kept = one.judged()
        assert before + 40 < kept < N
        assert int(done.inner_text()) >= kept
        assert one.run.manifest().entry("score")["ending"] == "stopped"
        assert visit.console == []
        assert all(url.startswith(served.url) for url in visit.requests)


@pytest.mark.parametrize(("wrapper", "by_hand"), [("", False), ("nohup", True)], ids=["by the page", "by hand"])
def test_a_run_in_the_background_is_stopped_by_what_live_says(tmp_path, monkeypatch, wrapper, by_hand, browser) -> None:
    """A shell has its background processes ignore SIGINT. By hand: a studio that may not write shows the command."""
    monkeypatch.setenv("OPENAI_API_KEY", "tok-0123456789abcdef")
    pace = Pace()
    with MisbehavingServer(pace) as server:
        one = Scoring(tmp_path, server)
        pid = one.start_in_background(wrapper)
        try:
            until(lambda: one.judged() > 3)
            os.kill(pid, signal.SIGINT)
            since = time.time()
            until(
                lambda: (
                    (told := scoring_state(one.run).report) is not None
                    and told.pid == pid
                    and told.written_at > since + 1
                )
            )
            assert scoring_state(one.run).condition == "running"
            if by_hand:
                sentence = str(Control(one.run, Jobs(tmp_path)).describe(scoring_state(one.run)).stop_command)
                (command,) = re.findall("`(kill [^`]*)`", sentence)
                assert "Ctrl-C" not in sentence
                subprocess.run(["sh", "-c", command], check=True)
            else:
                with (
                    serving([one.run.root], tmp_path) as served,
                    visit_url(browser, f"{served.url}/live?run=run") as visit,
                ):
                    visit.page.get_by_role("button", name="Stop").click()
                    visit.page.locator("body[data-condition=stopping]").wait_for()
            until(lambda: scoring_state(one.run).condition == "stopping")
            pace.allowed = N * 2
            until(lambda: scoring_state(one.run).condition == "stopped")
        finally:
            if scoring_state(one.run).condition in ("running", "stopping"):
                os.kill(pid, signal.SIGKILL)
        kept = one.judged()
        assert 3 < kept < N
        until(lambda: one.run.manifest().entry("score").get("ending") == "stopped")
        assert one.start().wait(60) == 0
        assert scoring_state(one.run).condition == "complete"


def test_what_a_finished_run_shows_and_how(tmp_path, browser) -> None:
    run = hostile_run(tmp_path)
    with serving([run.root], tmp_path) as served:
        for scheme, width in (("light", 1280), ("dark", 390)):
            visit = open_page(browser, f"{served.url}/live", scheme=scheme, width=width)
            page = visit.page
            page.get_by_text(HOSTILE, exact=True).first.wait_for()
            assert "owned" not in page.title()
            assert page.locator("#state").inner_text() == "Not scoring"
            assert page.locator("#done").inner_text() == "5"
            page.locator("#map-note", has_text="3 samples, each score rounded").wait_for()
            assert page.locator("#recent").inner_text().count("safety 4") == 3  # the map has two axes, the list all
            assert axe(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert visit.console == []


def test_a_cascade_that_has_ended_does_not_say_that_its_judge_saw_every_sample(tmp_path, browser) -> None:
    run = hostile_run(tmp_path)
    with serving([run.root], tmp_path) as served:
        for samples, sentence in (
            (5, "Every sample has been asked about, by j."),
            (9, "j was asked about 5 of 9 samples."),
        ):
            told(run, state="complete", judge="j")
            write_entry(run, "score", run.manifest().entry("score") | {"samples": samples})
            with visit_url(browser, f"{served.url}/live") as visit:
                visit.page.locator("#sentence", has_text=sentence).wait_for()


SPREAD = [{"warmth": 1 + i % 5, "clarity": i % 3, "safety": 4} for i in range(30)]


def judged_run(folder: Path, scores: list[dict[str, float]]) -> Workspace:
    """A run that is being scored for the first time by a rubric of these axes, each on 0–6."""
    run = Workspace(folder / "run").create()
    axes = tuple(Axis(name=name, scale=(0, 6), description=".") for name in scores[0])
    rubric = Rubric.load().model_copy(update={"name": "mine", "axes": axes})
    keep_rubric(run, rubric)
    spec = JudgeSpec(judge="j", rubric=rubric.hash)
    judged = [Judgement(f"{i:064x}", "ok", "j", rubric.hash, one, created_at=1e9) for i, one in enumerate(scores)]
    with Ledger(run.ledger) as ledger:
        ledger.record(spec, judged)
    return run


def test_failures_are_counted_once_and_what_is_done_stays_done_while_they_are_asked_for_again(
    tmp_path, browser
) -> None:
    """Seven samples failed twice; then a process goes on with them, and one is answered."""
    samples = [numbered(i) for i in range(10)]
    values = {axis: [None] * 7 + [5.0] * 3 for axis in ("sensibility", "rationality")}
    run = write_run(
        tmp_path / "run", samples, values, states=["parse_error"] * 7 + ["ok"] * 3, reasons=["no number"] * 10
    )
    judgement = Judgement("", "parse_error", "test", "0123", reason="no number", created_at=time.time())
    with Ledger(run.ledger) as ledger:
        ledger.record(SPEC, [replace(judgement, sample_id=sample.id) for sample in samples[:7]])
    with serving([run.root], tmp_path) as served:
        page = open_page(browser, f"{served.url}/live").page
        failures = page.locator("#failures")
        failures.get_by_text("7unreadable replies").wait_for()
        assert failures.locator(".live-reasons .small").inner_text().startswith("7 samples, last ")
        assert "7 more replies failed and were asked for again." in failures.inner_text()
        page.locator("#done", has_text="10").wait_for()
        told(run, written_at=time.time() + 5, counts={"total": 10, "done": 3, "done_at_start": 3})
        page.locator("#left-note", has_text="7 samples to go").wait_for()
        assert page.locator("#done").inner_text() == "10"
        scores = {"sensibility": 4.0, "rationality": 4.0}
        with Ledger(run.ledger) as ledger:
            ledger.record(SPEC, [Judgement(samples[0].id, "ok", "test", "0123", scores)])
        failures.get_by_text("6unreadable replies").wait_for()
        assert (page.locator("#done").inner_text(), page.locator("#failed").inner_text()) == ("10", "6")
        page.context.close()


def test_the_pair_of_three_axes_is_chosen_as_on_the_page_of_thresholds(tmp_path, browser) -> None:
    run = judged_run(tmp_path, SPREAD)
    with serving([run.root], tmp_path) as served, visit_url(browser, f"{served.url}/live?run=run") as visit:
        page = visit.page
        page.locator("[aria-label='warmth 1, clarity 0: 2 samples']").wait_for()
        assert page.locator("[data-cell]").count() == 49
        page.locator("#right").select_option("safety")
        page.locator("[aria-label='warmth 1, safety 4: 6 samples']").wait_for()
        page.locator("#up").select_option("safety")
        page.locator("[aria-label='safety 4, warmth 1: 6 samples']").wait_for()
        page.reload()
        page.locator("[aria-label='safety 4, warmth 1: 6 samples']").wait_for()
        assert "30 samples" in page.locator("#map-note").inner_text()
        assert axe(page) == []
        text_of(page)
        assert visit.console == []


def test_one_axis_is_a_histogram(tmp_path, browser) -> None:
    run = judged_run(tmp_path, [{"warmth": one["warmth"]} for one in SPREAD[:7]])
    with serving([run.root], tmp_path) as served, visit_url(browser, f"{served.url}/live?run=run") as visit:
        page = visit.page
        page.locator("[aria-label='warmth 2: 2 samples']").wait_for()
        assert page.locator("[data-cell]").count() == 7
        assert page.locator("#pair").is_hidden()
        bars = page.locator("[data-cell] .fill").evaluate_all(
            "all => all.map((one) => Number(one.getAttribute('height')))"
        )
        assert [round(bar / max(bars), 2) for bar in bars] == [0, 1, 1, 0.5, 0.5, 0.5, 0]
        text_of(page)
        assert visit.console == []


def hostile_run(folder: Path) -> Workspace:
    samples = [numbered(i) for i in range(5)]
    states = ["ok", "ok", "ok", "api_error", "refused"]
    values = {axis: [7, 7, 2, None, None] for axis in ("sensibility", "rationality")}
    run = write_run(folder / "run", samples, values, states=states, reasons=[HOSTILE] * 5)
    scores = {"sensibility": 7, "rationality": 2, "safety": 4}
    with Ledger(run.ledger) as ledger:
        ledger.record(
            SECOND,
            [
                Judgement(s.id, state, "j", "r", scores if state == "ok" else {},
                          raw=HOSTILE, reason=HOSTILE, latency_s=0.5, created_at=1e9)
                for s, state in zip(samples, states, strict=True)
            ],
        )  # fmt: skip
    write_entry(run, "score", run.manifest().entry("score") | {"panel": Panel.of([SECOND]).model_dump(mode="json")})
    return run


async def read(url: str, count: int, last_id: str = "") -> list[tuple[str, dict]]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    found: list[tuple[str, dict]] = []
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        number = ""
        async for line in response.content:
            if line.startswith(b"id:"):
                number = line[3:].decode().strip()
            elif line.startswith(b"data:"):
                found.append((number, json.loads(line[5:])))
                if len(found) == count:
                    break
    return found


def add(run: Workspace, i: int) -> None:
    with Ledger(run.ledger) as ledger:
        values = {"sensibility": 9, "rationality": i % 11}
        ledger.record(SPEC, [Judgement(f"new-{i}", "ok", "test", "0123", values, created_at=1e9 + i)])


def test_who_comes_back_gets_what_they_missed_and_a_stranger_the_whole(tmp_path) -> None:
    run = write_run(tmp_path / "run", [numbered(0)], {"sensibility": [5], "rationality": [5]})
    with serving([run.root], tmp_path) as served:
        url = f"{served.url}/api/live/events?run=run"

        async def watch() -> None:
            stay = asyncio.create_task(read(url, 4))
            ((first, whole),) = await read(url, 1)
            assert whole["whole"]
            assert whole["condition"] == "none"
            for i in range(3):
                await asyncio.to_thread(add, run, i)
                await asyncio.sleep(0.6)
            seen = await asyncio.wait_for(stay, 10)
            missed = await asyncio.wait_for(read(url, 3, first), 10)
            assert missed == [one for one in seen if one[0] != first][-3:]
            assert [one["recent"][0]["sample_id"] for _, one in missed] == ["new-0", "new-1", "new-2"]
            assert [one["cells"] for _, one in missed] == [[[0, 1, 9, i, 1]] for i in range(3)]
            ((_, anew),) = await read(url, 1, "another-7")
            assert anew["whole"]
            assert len(anew["recent"]) == 4

        run_async(watch())


def test_all_watchers_share_one_look_and_none_is_taken_when_nobody_watches(tmp_path) -> None:
    run = write_run(tmp_path / "run", [numbered(0)], {"sensibility": [5], "rationality": [5]})
    before = run.ledger.read_bytes()

    async def watch() -> None:
        one = Watch(run, Jobs(tmp_path))
        readers = [one.events() for _ in range(50)]
        messages = await asyncio.gather(*(anext(reader) for reader in readers))
        assert len(set(messages)) == 1
        assert (one.watchers, one.looks) == (50, 1)
        for reader in readers:
            await reader.aclose()
        looks = one.looks
        assert one.watchers == 0
        await asyncio.sleep(0.7)
        assert one.looks == looks

    run_async(watch())
    assert run.ledger.read_bytes() == before
    assert sorted(path.name for path in run.root.iterdir() if "ledger" in path.name) == ["ledger.sqlite"]


def test_a_sign_of_life_is_believed_as_far_as_the_machine_bears_it_out(tmp_path) -> None:
    run = Workspace(tmp_path / "run").create()
    assert scoring_state(run).condition == "none"
    told(run)
    assert scoring_state(run).condition == "died"  # long silent, and nobody holds the run
    with run.lock():
        assert scoring_state(run).condition == "silent"
    told(run, written_at=time.time())
    assert scoring_state(run).condition == "running"
    told(run, written_at=time.time(), pid=2**22 + 1)
    assert scoring_state(run).condition == "died"
    told(run, host="elsewhere", written_at=time.time() - 10, pid=2**22 + 1)
    assert scoring_state(run).condition == "running"
    told(run, host="elsewhere")
    assert scoring_state(run).condition == "silent"
    told(run, state="error", reason="no key")
    assert scoring_state(run).condition == "error"
    (run.root / PROGRESS).write_text('{"state": "running", "pid": "all of them"}')
    assert scoring_state(run).condition == "none"


@pytest.mark.parametrize(
    "changed",
    [
        *({"pid": pid} for pid in (-1, 0, 1, -(2**31), 2**31, 2**63, 2**70, 10**4000, "1", 1.5, None, [1], True)),
        *({name: 10**400} for name in ("started_at", "written_at")),
        *({"counts": {"total": total, "done": 1, "done_at_start": 0}} for total in (10**400, -1, 1.5, "x", None)),
        {"host": "x" * 100_000}, {"command": ["\x00", "--"]}, {"folder": "\x00"}, {"stopped_by": ["SIGSTOP"]},
        {"unknown": 1}, {"version": 2}, {"state": "owned"},
    ],
    ids=lambda changed: str(changed)[:40],
)  # fmt: skip
def test_a_sign_of_life_of_any_form_is_told_and_ends_nothing(strange, changed) -> None:
    """The process that it names, or that its number wraps to, is the test's own, and those of the machine."""
    run, served = strange
    now = {"written_at": time.time(), "started_at": time.time() - 5}
    told(run, **{**now, **changed})
    with run.lock():
        for path in ("stop", "go-on"):
            status, _, text = ask(served, f"/api/live/{path}", "POST")
            assert status == 400, text
        assert events(served)["control"]["can_stop"] is False


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"pid": 1e999}', "NaN", '"\\ud800"', "\x00", "{}", "null", "[]", ""]
)
def test_a_sign_of_life_that_is_none_is_none(strange, content) -> None:
    run, served = strange
    (run.root / PROGRESS).write_text(content)
    until(lambda: events(served)["condition"] == "none")  # the watchers before may still share what was seen last
    assert ask(served, "/api/live/stop", "POST")[0] == 400


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strange")
    run = write_run(folder / "run", [numbered(0)], {"sensibility": [1], "rationality": [1]})
    with serving([run.root], folder) as served:
        yield run, served


def events(served) -> dict:
    """What a page that watches is told first."""
    with urllib.request.urlopen(f"{served.url}/api/live/events", timeout=20) as stream:
        while not (line := stream.readline()).startswith(b"data: "):
            assert line, "it ended"
        return json.loads(line.removeprefix(b"data: "))


def test_go_on_takes_the_command_from_the_process_alone(tmp_path) -> None:
    """Whoever writes to the run's folder while it is scored cannot put another command in its place."""
    run = write_run(tmp_path / "run", [numbered(0)], {"sensibility": [1], "rationality": [1]})
    program = "import sys; handle = open('run/.lock'); print('ready', flush=True); input()"
    arguments = ["score", "x", "--run", "run"]
    with run.lock():
        pass
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline()
        own = {"pid": process.pid, "written_at": time.time(), "command": arguments, "folder": str(tmp_path)}
        for changed in ({"command": ["score", "x", "--run", "other"]}, {"command": ["demo"]}, {"folder": "/"}, {}):
            told(run, **{**own, **changed})
            control = Control(run, Jobs(tmp_path))
            control.see(scoring_state(run))
            assert (control.start_command is not None) is (changed == {}), changed
        control.stop()
        assert process.wait(20) == -signal.SIGTERM
    finally:
        process.kill()
        process.communicate()


def test_a_run_s_files_cannot_have_a_process_ended_or_a_command_run(tmp_path) -> None:
    run = Workspace(tmp_path / "run").create()
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        told(run, pid=bystander.pid, written_at=time.time(), command=["demo"])
        control = Control(run, Jobs(tmp_path))
        with run.lock():
            control.see(scoring_state(run))
            with pytest.raises(UserError, match=f"run `kill {bystander.pid}`, or press Ctrl-C"):
                control.stop()
        told(run, state="stopped")
        assert not control.describe(scoring_state(run)).can_go_on
        assert control.describe(scoring_state(run)).command == "cd / && efficient-empathy score x --run run"
        with pytest.raises(UserError, match="itself seen"):
            control.go_on()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.communicate()
