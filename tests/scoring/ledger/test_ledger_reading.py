"""What is found again in a ledger: by judge, by number, beside a writer, and from a file that must not be touched."""

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring import Judgement, Ledger
from judge_specs import spec_of

SPEC, OTHER = spec_of("test", model="m"), spec_of("other")


def judgement(sample: str = "a", state: str = "ok", **rest: object) -> Judgement:
    scores = {"sensibility": 8.0, "rationality": 2.0} if state == "ok" else {}
    return Judgement(sample, state, "judge", "rubric", **{"scores": scores, **rest})


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def test_judgements_of_one_judge_are_its_own_and_those_of_all_come_in_their_order(ledger) -> None:
    ledger.record(SPEC, [judgement("a", raw="first")])
    ledger.record(OTHER, [judgement("a", raw="second")])
    ledger.record(SPEC, [judgement("b", "refused", raw="third")])
    assert [one.raw for one in ledger.judgements(SPEC)] == ["first", "third"]
    assert [one.raw for one in ledger.judgements(OTHER)] == ["second"]
    assert [one.raw for one in ledger.judgements()] == ["first", "second", "third"]
    assert ledger.states(OTHER, ["a", "b"]) == {"a": "ok"}
    assert ledger.latest(OTHER, ["a", "b"]) == {"a": judgement("a", raw="second")}
    assert [one for _, _, one in ledger.history("a")] == [judgement("a", raw="first"), judgement("a", raw="second")]


def test_since_goes_on_after_a_number_and_stops_at_the_most(ledger) -> None:
    ledger.record(SPEC, [judgement("a"), judgement("b")])
    ledger.record(OTHER, [judgement("c")])
    ledger.record(SPEC, [judgement("d"), judgement("e")])
    first = ledger.since(SPEC, 0, 3)
    assert [one for _, one in first] == [judgement("a"), judgement("b"), judgement("d")]
    last = first[-1][0]
    assert ledger.since(SPEC, last, 3) == [(last + 1, judgement("e"))]
    assert ledger.since(SPEC, last + 1, 3) == ledger.since(spec_of("unknown"), 0, 3) == []


def test_the_last_failure_stands_until_one_is_ok(ledger) -> None:
    ledger.record(SPEC, [judgement("a", "refused", reason="first"), judgement("a", "api_error", reason="second")])
    assert ledger.latest(SPEC, ["a"])["a"].reason == "second"
    assert ledger.states(SPEC, ["a"]) == {"a": "api_error"}


def test_totals_are_of_one_judge(ledger) -> None:
    assert vars(ledger.totals(SPEC)) == {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": 0}
    ledger.record(SPEC, [judgement("a", requests=2, prompt_tokens=30, completion_tokens=4, cost_usd=0.5)])
    ledger.record(SPEC, [judgement("b", "api_error", requests=3, prompt_tokens=20, completion_tokens=1, cost_usd=0.25)])
    ledger.record(OTHER, [judgement("a", requests=9, prompt_tokens=9, completion_tokens=9, cost_usd=9.0)])
    totals = {"requests": 5, "prompt_tokens": 50, "completion_tokens": 5, "cost_usd": 0.75}
    assert vars(ledger.totals(SPEC)) == totals


def test_only_the_first_ok_judgement_tells_whether_there_are_distributions(ledger) -> None:
    tables = {"sensibility": [1.0], "rationality": [1.0]}
    assert ledger.has_probabilities(SPEC) is False
    ledger.record(SPEC, [judgement("a", "refused"), judgement("b", probabilities=tables)])
    assert ledger.has_probabilities(SPEC) is True
    assert ledger.has_probabilities(OTHER) is False


def test_a_reader_sees_at_once_what_a_writer_has_recorded_and_cannot_write(tmp_path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as writer:
        writer.record(SPEC, [judgement("a")])
        with Ledger(path, read_only=True) as reader:
            assert reader.states(SPEC, ["a"]) == {"a": "ok"}
            writer.record(SPEC, [judgement("b")])
            assert reader.missing(SPEC, ["a", "b", "c"]) == {"c"}
            with pytest.raises(UserError, match="readonly"):
                reader.commit_usd(1.0)


def test_a_writer_does_not_wait_for_who_reads(tmp_path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as writer:
        writer.record(SPEC, [judgement(str(i)) for i in range(200)])
        with Ledger(path, read_only=True) as reader:
            rows = reader.judgements()
            next(rows)
            recording = threading.Thread(target=writer.record, args=(SPEC, [judgement("late")]))
            recording.start()
            recording.join(20)
            waits = recording.is_alive()
            assert len(list(rows)) == 199
            recording.join(60)
            assert not waits


def test_reading_a_finished_ledger_leaves_nothing_beside_it(tmp_path) -> None:
    path = tmp_path / "what? it's 100% mine#1.sqlite"
    with Ledger(path) as ledger:
        ledger.record(SPEC, [judgement("a")])
    with Ledger(path, read_only=True) as ledger:
        assert ledger.states(SPEC, ["a"]) == {"a": "ok"}
        assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_read_or_written_is_named_with_what_to_do(tmp_path) -> None:
    remedy = r"\(.+\): what it holds is kept; see to its disk and permissions, then run the same command again$"
    with pytest.raises(UserError, match=rf"^cannot use the ledger {tmp_path}/absent/ledger\.sqlite {remedy}"):
        Ledger(tmp_path / "absent" / "ledger.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_an_empty_ledger_and_one_of_another_version_is_none(tmp_path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.touch()
    with Ledger(path, read_only=True) as ledger:  # whoever began to make it was killed
        assert list(ledger.judgements()) == []
    assert path.read_bytes() == b""
    with Ledger(path) as ledger:
        ledger.record(SPEC, [judgement("a")])
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 1")
    for read_only in (True, False):
        with pytest.raises(UserError, match=r"is not a ledger of version 1; this program reads version \d+: name"):
            Ledger(path, read_only=read_only)


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9"), "what? #1 50%", "[ab]*"])
def test_a_ledger_is_read_whatever_its_folder_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.record(SPEC, [judgement("a")])
    (tmp_path / "ledger.sqlite").rename(tmp_path / name / "ledger.sqlite")
    with Ledger(tmp_path / name / "ledger.sqlite", read_only=True) as ledger:
        assert ledger.states(SPEC, ["a"]) == {"a": "ok"}
