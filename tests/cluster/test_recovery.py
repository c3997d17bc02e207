from dataclasses import replace
from pathlib import Path

import pytest

from efficient_empathy.cluster.journal import FOLDER, Journal, journal_name, journals, read_journal
from efficient_empathy.cluster.recovery import recover
from efficient_empathy.scoring import Judgement, JudgeSpec, Ledger

SPEC = JudgeSpec(judge="test", rubric="0123456789abcdef")


def judgement(sample: str, state: str = "ok", at: float = 1.0) -> Judgement:
    scores = {"sensibility": 0.1 + 0.2} if state == "ok" else {}
    return Judgement(sample, state, "test", "r", scores=scores, raw='"tired" \u2028 é\n', cost_usd=0.5, created_at=at)  # type: ignore[arg-type]


def write_journal(run: Path, unit: int, *judgements: Judgement, worker: str = "a", spec: JudgeSpec = SPEC) -> Path:
    path = run / FOLDER / worker / journal_name(unit)
    Journal(path, spec).append(judgements)
    return path


def test_a_journal_holds_what_was_answered_to_the_last_bit(tmp_path: Path) -> None:
    whole = replace(judgement("a"), probabilities={"sensibility": [0.1, 0.9]}, dependence=(0.25,))
    path = write_journal(tmp_path, 3, whole, judgement("b", "refused"))
    content = read_journal(path)
    assert content is not None
    assert content[0] == SPEC
    assert content[1] == [whole, judgement("b", "refused")]
    assert journals(tmp_path, 3) == [path]
    assert not journals(tmp_path, 4)


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_line_that_was_cut_short_was_in_flight(tmp_path: Path, cut: int) -> None:
    path = write_journal(tmp_path, 0, judgement("a"), judgement("b"))
    path.write_bytes(path.read_bytes()[:-cut])
    content = read_journal(path)
    assert content is not None
    assert [one.sample_id for one in content[1]] == ["a"]


def test_what_a_killed_command_left_is_in_the_ledger_once(tmp_path: Path) -> None:
    write_journal(tmp_path, 0, judgement("a"), judgement("b", "api_error", 2.0), judgement("c"))
    write_journal(tmp_path, 1, judgement("d"), worker="b", spec=SPEC.in_round(2))
    (tmp_path / FOLDER / "b" / "empty.jsonl").write_bytes(b'{"judge": "te')
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.record(SPEC, [judgement("c"), judgement("b", "api_error", 2.0)])
        recover(tmp_path, ledger)
        assert ledger.states(SPEC, ["a", "b", "c", "d"]) == {"a": "ok", "b": "api_error", "c": "ok"}
        assert ledger.states(SPEC.in_round(2), ["d"]) == {"d": "ok"}
        assert ledger.judged_usd() == 2.0
    assert not (tmp_path / FOLDER).exists()
