import asyncio
import io
import signal

from rich.console import Console

from efficient_empathy.llm.runner import Watcher
from efficient_empathy.scoring import Judgement, Ledger, Rubric
from efficient_empathy.scoring.judges.contract import CheckedJudge
from efficient_empathy.scoring.progress import ProgressDisplay
from efficient_empathy.scoring.session import run_judge
from samples import make_samples

SCORES = {"sensibility": 1, "rationality": 2}


class Closing:
    name = "closing"

    def __init__(self) -> None:
        self.closed = 0

    async def judge(self, samples):
        return [Judgement(sample.id, "ok", self.name, "r", SCORES) for sample in samples]

    async def close(self) -> None:
        self.closed += 1


def run(tmp_path, judge: Closing) -> tuple[str, str]:
    said = io.StringIO()
    console = Console(file=said)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        display = ProgressDisplay(console, 9, 0, None)
        ending = run_judge(make_samples(9), CheckedJudge(judge, Rubric.load()), ledger, display, Watcher(console))
        assert len(list(ledger.judgements())) == 9
    return ending, said.getvalue()


def test_the_judge_is_closed_and_the_signals_are_as_before(tmp_path) -> None:
    judge = Closing()
    ending, said = run(tmp_path, judge)
    assert (ending, judge.closed) == ("complete", 1)
    assert "scored 9 of 9" in said
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_notebook_s_cell_may_call_it(tmp_path) -> None:
    async def cell() -> str:
        return run(tmp_path, Closing())[0]

    assert asyncio.run(cell()) == "complete"
