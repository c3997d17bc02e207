"""Every parameter that a page reads of its address, given a value that there is not: the page opens, and says so."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console

from efficient_empathy.analytics import analytics
from efficient_empathy.modelling.generation.settings import EndpointOptions
from efficient_empathy.selection import select
from efficient_empathy.studio.server.app import PAGES
from efficient_empathy.synthesis import SynthesisSettings, synthesize
from misbehaving_server import MisbehavingServer
from rated_runs import responded_run
from studio_server import Served, ask, serving
from synthesizing_server import Writer, bundled_run

WRONG = {
    "live": ("right=warmth", "up=warmth"),
    "lab": (
        "policy=mine", "decide=dice", "decide=probabilities&run=other", "half=2", "category=nothing", "base=paper",
        "base=mine,alpha=1", "sort=size", "up=warmth", "right=warmth", "t.alpha=x", "t.alpha=50&policy=paper",
    ),
    "samples": (
        "subset=best", "category=nothing", "state=odd", "split=dev", "answered_by=nobody", "corrected_by=nobody",
        "tags=odd", "right=warmth", "up=warmth", "sample=nobody",
    ),
    "analytics": (
        "by=size", "sort=size", "way=left", "along=across", "drift=nothing", "drift=run:nobody", "again=2",
    ),
    "compare": (
        "what=nothing", "with=nobody", "all=yes", "again=yes", "rubric=x&what=rubrics", "model=x&what=models",
        "model=x&what=responses", "page=99&what=responses", "page=x&what=responses",
    ),
    "rate": ("filter=nothing",),
    "synthetic": ("fate=nothing", "generator=nobody", "page=0", "page=99", "page=x", "page=1.5"),
    "chat": ("model=nobody", "temperature=9", "temperature=hot", "max_tokens=5000", "max_tokens=x", "history=none"),
    "service": ("hours=7", "hours=x"),
    "prompts": ("golden=run/none",),
}  # fmt: skip
"""By page the values; the name that a note is about comes first."""
REFUSED = (
    "score.sensibility=11", "score.sensibility=x", "score.warmth=1-2", "apart=-1", "apart=x", "p=7", "sort=size",
    "order=up", "like=nobody", "move=x", "move=alpha=4&policy=mine&from=discard&to=sensibility",
    "move=alpha=4&decide=dice&from=discard&to=sensibility", "move=alpha=4&t.alpha=x&from=discard&to=sensibility",
    "move=alpha=4&from=nothing&to=sensibility", "move=alpha=4&from=discard&to=nothing",
)  # fmt: skip
"""Values that the list of samples refuses, in a sentence above it."""
TEXTS = {"q", "find"}
"""What may be anything."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A run with categories, a selection, analytics and synthetic samples, and one with responses of models."""
    folder = tmp_path_factory.mktemp("addresses")
    run, other = bundled_run(folder), responded_run(folder / "other", dialogues=4)
    settings = SynthesisSettings(
        samples=4, pilot=8, generators=("rewrite",), max_response_words=60, seed_overlap=1.0, diversity=1
    )
    with MisbehavingServer(Writer()) as server:
        endpoint = EndpointOptions(base_url=server.url, concurrency=4)
        synthesize(run, "writer", settings, endpoint=endpoint, console=Console(file=io.StringIO()))
    select(run)
    analytics(run)
    with serving([run.root, other.root], Path(folder)) as studio:
        while '"ended":false' in ask(studio, "/api/analytics/numbers?run=run")[2]:
            pass
        yield studio


def notes(served: Served, path: str) -> list[str]:
    status, _, text = ask(served, path)
    assert status == 200, path
    before = text.split('<main id="main"')[1].split("<h1>")[0]
    return [html.unescape(note) for note in re.findall(r'<p class="notice" data-address-note>(.*?)</p>', before)]


@pytest.mark.parametrize("page", WRONG)
def test_a_wrong_value_is_passed_over_and_said(served: Served, page: str) -> None:
    assert notes(served, f"/{page}?run=run") == []
    for query in WRONG[page]:
        name, value = re.split("[=&]", query)[:2]
        (note,) = notes(served, f"/{page}?run=run&{query}")
        assert value.removeprefix("t.") in note, query
        assert name.removeprefix("t.") in note, query
        assert note.endswith("."), note


def test_what_there_is_instead_is_named(served: Served) -> None:
    (note,) = notes(served, "/service?run=run&hours=7")
    assert note == "The address has hours=7, which there is not: it can be 1, 6, 24 or 48. The page shows 1."
    (note,) = notes(served, "/chat?run=run&max_tokens=5000")
    assert note.endswith("it can be a whole number from 1 to 1,024. The page shows 1,024.")
    (note,) = notes(served, "/samples?run=run&category=nothing")
    assert re.search(r"it can be (\w+, ){5}\w+ and \d+ more\.$", note)


def test_a_value_that_there_is_is_not_spoken_of(served: Served) -> None:
    for path in (
        "lab?run=run&policy=paper&t.alpha=4.5&t.beta=5&half=1&sort=share+discard&base=exclusive,alpha=5,beta=6",
        "samples?run=run&subset=discard&state=ok&up=sensibility&right=rationality&corrected_by=*&state=failed",
        "analytics?run=run&by=topic&sort=rationality&way=up&along=order&drift=run:other",
        "compare?run=other&what=responses&model=other/base&model=other/moe&page=1&all=1&with=",
        "synthetic?run=run&fate=format&generator=rewrite&page=1",
        "chat?run=run&temperature=0.7&max_tokens=8&history=own",
        "service?run=run&hours=24",
        "live?run=run&right=sensibility&up=rationality",
    ):
        assert notes(served, f"/{path}") == [], path


def test_the_list_of_samples_says_what_it_cannot_filter_by(served: Served) -> None:
    for query in REFUSED:
        status, _, text = ask(served, f"/api/samples/view?run=run&{query}")
        assert status == 400, query
        assert '"error":"' in text, query


def test_each_name_that_a_page_knows_has_been_given_a_wrong_value(served: Served) -> None:
    modules = {name: import_module(f"efficient_empathy.studio.pages.{name}.routes") for name, *_ in PAGES}
    assert {name for name, module in modules.items() if hasattr(module, "KNOWN")} == WRONG.keys()
    for page in WRONG:
        queries = [*WRONG[page], *(REFUSED if page == "samples" else ())]
        tried = {name for query in queries for name in re.findall(r"(?:^|&)([^=&]+)", query)}
        ends = {name.split(".")[0] + "." for name in tried if "." in name}
        assert set(modules[page].KNOWN) - TEXTS <= tried | ends, page


def test_a_page_that_reads_nothing_says_that_of_any_name(served: Served) -> None:
    for page in {name for name, *_ in PAGES} - WRONG.keys() | {"new"}:
        (note,) = notes(served, f"/{page}?run=run&colour=red")
        assert note == "The address asks for colour, which this page does not know."
