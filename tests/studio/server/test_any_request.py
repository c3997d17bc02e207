"""Any request to any route, from anyone, to a real studio: refused in a sentence or answered, and never a fault."""

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import efficient_empathy.studio
from efficient_empathy.web.rates import Lockouts, Rates
from rated_runs import responded_run
from studio_raters import Annotator, set_up
from studio_server import ask, serving

SOURCE = "\n".join(path.read_text("utf-8") for path in Path(efficient_empathy.studio.__file__).parent.rglob("*.py"))
NAMES = sorted({*re.findall(r"query(?:_params)?(?:\.get|\.getlist)?[\[(]\"([\w.]+)\"", SOURCE), "offset", "row", "end",
                "t.alpha", "t.x", "score.sensibility", "score.x"})  # fmt: skip
"""What any page reads of a query; and so the fields of any request below."""
FIELDS = sorted(set(re.findall(r"^    (\w+): ", SOURCE, re.MULTILINE)))
WORDS = (
    "0 -1 1 1e999 nan -inf 1e308 ² ٣ .. ../.. ..%2f %00 /etc/passwd [ {} run paper run:paper exclusive turn-٣ "
    "turn-1 response null a,b 💥 '; sensibility discard 10-0 0-10 desc position disagreement alpha=1e308 beta=6 "
    "models rubrics csv lab"
)
NINES = "9" * 5000
VALUES = [
    *WORDS.split(),
    "",
    "\x00",
    "a\x00b",
    "x" * 9000,
    NINES,
    "9" * 30,
    f"reply-{NINES}",
    f"turn-{NINES}",
    "\x1b[2J",
]
DEEP = [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"[" * 400_000]
RAW = [
    b"",
    b"null",
    b"1",
    b"[]",
    b"{}",
    b"1e999",
    b"NaN",
    NINES.encode(),
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\x00",
    b"{",
    *DEEP,
]
RAW += [b'{"study": "\\ud800"}', b'{"samples": 1e999}', b'{"study": 1, "study": 2}']
BODIES = [
    {"models": ["moe", "base"], "raters": ["ann"], "samples": 2}, {"study": "x", "rater": "ann", "action": "revoke"},
    {"study": "x", "action": "reopen"}, {"submission": "abcdefgh"},
    {"item": "a", "question": "empathy", "value": "1", "milliseconds": 1, "submission": "abcdefgh"},
    {"asks": [{"model": "nobody", "context": [{"role": "speaker", "text": "hi"}]}]},
    {"context": [{"role": "speaker", "text": "hi"}], "replies": [{"model": "moe", "response": "x"}]},
]  # fmt: skip
numbers = st.sampled_from([0, -1, 1, 2**31, 2**63, 10**400, 1.5, 1e308, float("inf"), float("nan"), None, True])
names = st.sampled_from(FIELDS)
values = st.recursive(
    st.sampled_from(VALUES) | numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
changes = st.dictionaries(names, values, max_size=2)
bodies = st.builds(lambda body, changed: json.dumps(body | changed).encode(), st.sampled_from(BODIES), changes)
queries = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=3)


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio, and the cookies of someone who rates there."""
    folder = tmp_path_factory.mktemp("any")
    run = responded_run(folder / "run", dialogues=4)
    with serving([run.root], folder, rates=Rates(1e9, 1e9), lockouts=Lockouts(free=10**9)) as served:
        _, study = set_up(served.url)
        ann = Annotator(served.url, study["raters"][0]["link"])
        yield served, "; ".join(f"{name}={value}" for name, value in ann.cookies.items())


def check(studio, caplog, route: int, query, body: bytes, *, rates: bool, part: str = "x") -> None:
    served, cookie = studio
    routes = [(one.path, method) for one in served.app.router.routes for method in sorted(one.methods)]
    path, method = routes[route % len(routes)]
    if path == "/api/live/events":  # its answer has no end
        method = "HEAD"
    path = re.sub(r"{\w+}", quote(part, safe=""), path)
    text = "&".join(f"{quote(name)}={quote(value)}" for name, value in query)[:12_000]
    headers = {"Cookie": cookie} if rates else {}
    status, _, content = ask(served, f"{path}?{text}", method, headers, body if method == "POST" else None)
    assert status < 500, (path, method, content)
    if status >= 400 and path.startswith("/api/") and method != "HEAD":
        sentence = json.loads(content)["error"]
        assert sentence
        assert "\n" not in sentence
        assert "Traceback" not in sentence
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 200), queries, bodies | st.sampled_from(RAW), st.booleans(), st.sampled_from(VALUES))
@example(0, [], b"", False, "..%2f..%2fapp.py")
def test_no_request_is_too_strange(studio, caplog, route, query, body, rates, part) -> None:
    check(studio, caplog, route, query, body, rates=rates, part=part)


@pytest.mark.parametrize("content", DEEP, ids=["lists", "objects", "open"])
def test_json_of_any_depth_is_refused_wherever_json_is_taken(studio, caplog, content) -> None:
    served, cookie = studio
    posts = [one.path for one in served.app.router.routes if "POST" in one.methods]
    assert len(posts) >= 8
    for path in posts:
        for headers in ({}, {"Cookie": cookie}):
            status, _, text = ask(served, path, "POST", headers, content)
            assert 400 <= status < 500, path
            assert len(json.loads(text)["error"]) < 300
    assert not caplog.records


@pytest.mark.parametrize(
    "part", ["turn-" + "9" * 5000, "reply-" + "9" * 5000, "turn-٣", "turn-" + "9" * 30, "turn-", "-"]
)
def test_parts_of_a_sample_that_there_are_not(studio, caplog, part) -> None:
    assert ask(studio[0], f"/api/samples/text?row=0&part={quote(part)}")[0] == 400
    assert not caplog.records
