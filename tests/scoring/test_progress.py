import io

from rich.console import Console

from efficient_empathy.llm import Window
from efficient_empathy.scoring import Judgement
from efficient_empathy.scoring.progress import ScoringProgress

OK = Judgement("a", "ok", "j", "r", {"a": 1.0}, cost_usd=0.25, requests=2)
FAILED = Judgement("b", "api_error", "j", "r")


def shown(*, terminal: bool) -> tuple[str, ScoringProgress]:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=140)
    with ScoringProgress(console, 10, 4, Window(8)) as progress:
        progress.update([OK, FAILED])
    return text.getvalue(), progress


def test_on_a_terminal_there_is_a_bar_with_all_that_matters() -> None:
    text, progress = shown(terminal=True)
    for part in ("6/10", "$0.2500", "1 api_error", "concurrency 8", "left"):
        assert part in text
    assert (progress.requests, progress.cost_usd) == (2, 0.25)


def test_elsewhere_there_are_plain_lines() -> None:
    text, _ = shown(terminal=False)
    assert text.splitlines()[-1].startswith("scored 6 of 10")
    assert "\x1b" not in text
