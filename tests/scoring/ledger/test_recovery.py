from dataclasses import replace
from pathlib import Path

import pytest

from efficient_empathy import score
from efficient_empathy.dialogues import write_samples
from efficient_empathy.foundation.run.workspace import Workspace
from efficient_empathy.scoring import Judgement, JudgeSpec, Ledger, Rubric
from efficient_empathy.scoring.judges.registry import build_judge
from efficient_empathy.scoring.ledger.journal import FOLDER, Journal, journal_name, journals, read_journal
from efficient_empathy.scoring.ledger.recovery import recover
from efficient_empathy.scoring.ledger.spending import SpendingFile
from misbehaving_server import MisbehavingServer
from misbehaviours import ok
from scored_runs import numbered

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


def test_one_machine_goes_on_where_a_killed_cluster_was(tmp_path: Path) -> None:
    source, run = tmp_path / "samples.parquet", Workspace(tmp_path / "run").create()
    samples = [numbered(i) for i in range(6)]
    write_samples(samples, source)
    with MisbehavingServer(ok('{"sensibility": 3, "rationality": 4}')) as server:
        options = {"base_url": server.url, "max_cost": 0.01}
        spec = build_judge("openai:gpt-4o-mini", Rubric.load(), run, options).spec
        there = {"sensibility": 7.0, "rationality": 8.0}
        left = [
            Judgement(one.id, "ok", "gpt-4o-mini", spec.rubric, scores=there, cost_usd=0.001) for one in samples[:4]
        ]
        write_journal(run.root, 0, *left, spec=spec)
        SpendingFile(run.root / FOLDER / "a")(0.0045)
        with Ledger(run.ledger) as ledger:
            ledger.commit_usd(0.01, base_usd=0.0)
        scores = score(source, run.root, judge="openai:gpt-4o-mini", options=options, quiet=True)
        assert len(server.requests) == 2
    assert scores["sensibility"].to_list() == [7, 7, 7, 7, 3, 3]
    with Ledger(run.ledger, read_only=True) as ledger:
        assert 0.0045 < ledger.spent_usd() < 0.005
    assert not (run.root / FOLDER).exists()
