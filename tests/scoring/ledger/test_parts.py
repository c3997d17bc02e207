"""Judgements that workers wrote as Parquet parts: a ledger that has them answers as one that recorded them all."""

import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.scoring import STATES, Judgement, Ledger
from efficient_empathy.scoring.judges.contract import JudgeSpec
from efficient_empathy.scoring.ledger import parts_folder, write_part
from judge_specs import spec_of

SPEC, OTHER = spec_of("test", model="m"), spec_of("other")
TABLES = {"sensibility": [0.25, 0.75], "rationality": [1.0, 0.0]}


def judgement(sample: str = "a", state: str = "ok", **rest: object) -> Judgement:
    scores = {"sensibility": 8.0, "rationality": 2.0} if state == "ok" else {}
    return Judgement(sample, state, "judge", "rubric", **{"scores": scores, **rest})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def write(path: Path, *judgements: Judgement, spec: JudgeSpec = SPEC) -> Path:
    """A part beside a ledger, as a worker writes it."""
    folder = parts_folder(path)
    return folder / write_part(folder, spec, judgements)


def test_a_judgement_comes_back_from_a_part_as_it_went_in(path) -> None:
    whole = judgement(
        raw="Rationality: 2 …\0", prompt_tokens=7, completion_tokens=3, cost_usd=0.25, latency_s=1.5, requests=2,
        created_at=12.5, probabilities=TABLES, dependence=(0.5,),
    )  # fmt: skip
    write(path, whole)
    with Ledger(path) as ledger:
        assert ledger.latest(SPEC, ["a", "b"]) == {"a": whole}
        assert [ledger.specs(), ledger.has_probabilities(SPEC), ledger.judged_usd()] == [[SPEC], True, 0.25]


def answers(ledger: Ledger, ids: Sequence[str]) -> list[object]:
    """All that a ledger says, but for the numbers themselves."""
    said: list[object] = [list(ledger.judgements()), [[spec, one] for i in ids for _, spec, one in ledger.history(i)]]
    for spec in (SPEC, OTHER):
        said += [ledger.latest(spec, ids), ledger.states(spec, ids), ledger.missing(spec, ids)]
        said += [list(ledger.judgements(spec)), ledger.totals(spec), ledger.has_probabilities(spec)]
        last, since = 0, []
        while more := ledger.since(spec, last, 2):
            last = more[-1][0]
            since += [one for _, one in more]
        said.append(since)
    return [*said, ledger.judged_usd(), ledger.spent_usd(), set(ledger.specs())]


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from([SPEC, OTHER]),
            st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(STATES)), min_size=1, max_size=4),
        ),
        max_size=6,
    )
)
def test_whichever_store_has_it_a_ledger_says_the_same(tmp_path_factory, history) -> None:
    folder, count = tmp_path_factory.mktemp("ledgers"), 0
    with Ledger(folder / "one.sqlite") as one, Ledger(folder / "two.sqlite") as two:
        for in_part, spec, rows in history:
            batch = []
            for sample, state in rows:
                count += 1
                batch.append(judgement(sample, state, cost_usd=0.5, requests=1, raw=str(count)))
            one.record(spec, batch)
            if in_part:
                write(two.path, *batch, spec=spec)
                two.adopt()
            else:
                two.record(spec, batch)
        assert answers(two, "abcde") == answers(one, "abcde")
    with Ledger(folder / "two.sqlite", read_only=True) as again, Ledger(folder / "one.sqlite", read_only=True) as one:
        assert answers(again, "abcde") == answers(one, "abcde")


def test_among_thousands_in_many_parts_each_sample_is_found(path) -> None:
    for part in range(12):
        write(path, *(judgement(f"{part}-{i}", raw=f"{part}") for i in range(200)))
    write(path, judgement("0-7", "refused"), judgement("new", "refused"))
    with Ledger(path) as ledger:
        ids = [f"{part}-{i}" for part in range(13) for i in range(0, 200, 3)]
        assert ledger.missing(SPEC, ids) == {i for i in ids if i.startswith("12-")}
        assert {i: one.raw for i, one in ledger.latest(SPEC, ids).items()} == {
            i: i.partition("-")[0] for i in ids if not i.startswith("12-")
        }
        write(path, judgement("12-0"))
        assert ledger.adopt() == 1
        assert "12-0" not in ledger.missing(SPEC, ids)


def _write_until_killed(path: Path) -> None:
    for i in range(1000):
        write(path, judgement(str(i)))
        if i == 20:
            os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_worker_wrote_is_taken_in_when_the_ledger_is_opened(path) -> None:
    worker = multiprocessing.get_context("spawn").Process(target=_write_until_killed, args=(path,))
    worker.start()
    worker.join()
    (parts_folder(path) / "notes.txt").write_text("the user's own")
    with Ledger(path) as ledger:
        assert ledger.missing(SPEC, [str(i) for i in range(22)]) == {"21"}
    with Ledger(path) as ledger:
        assert ledger.adopt() == 0, "each part counts once"


def _adopt(path: Path) -> None:
    with Ledger(path):
        pass


def test_two_that_take_in_the_same_parts_at_once_count_each_once(path) -> None:
    for i in range(30):
        write(path, judgement(str(i), cost_usd=1.0))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_adopt, [path] * 2))
    with Ledger(path) as ledger:
        assert ledger.judged_usd() == 30
        assert len(list(ledger.judgements())) == 30


def test_a_reader_sees_what_was_taken_in_since_it_opened(path) -> None:
    with Ledger(path) as writer, Ledger(path, read_only=True) as reader:
        write(path, judgement("a"))
        assert reader.states(SPEC, ["a"]) == {}
        writer.adopt()
        assert reader.states(SPEC, ["a"]) == {"a": "ok"}


def test_a_part_that_is_gone_is_named_with_what_it_held(path) -> None:
    part = write(path, judgement("a"), judgement("b"))
    with Ledger(path) as ledger:
        part.unlink()
        assert list(ledger.faults()) == [(part, "is missing, with 2 judgements")]
        with pytest.raises(UserError) as raised:
            ledger.states(SPEC, ["a"])
    assert str(raised.value) == (
        f"{part} is missing, with 2 judgements that ledger.sqlite knows of: put it back, or move ledger.sqlite and the "
        "folder ledger.parts away and add --force to judge all again"
    )


def test_a_part_that_was_edited_is_told_from_one_that_was_not(path) -> None:
    parts = [write(path, judgement(name)) for name in "ab"]
    with Ledger(path) as ledger:
        pl.read_parquet(parts[1]).write_parquet(parts[1])
        assert list(ledger.faults()) == [(parts[1], "has changed since it was written")]


def test_a_file_that_is_no_part_is_named_and_nothing_of_it_is_taken_in(path) -> None:
    name = write(path, judgement("a"))
    strange = name.with_name("0" * 20 + "-" + "0" * 16 + ".parquet")
    cases = {
        "cannot read": lambda: strange.write_bytes(b"no Parquet"),
        "does not say which judge": lambda: pl.read_parquet(name).write_parquet(strange),
        "has other columns": lambda: pl.DataFrame({"a": [1]}).write_parquet(
            strange, metadata=pl.read_parquet_metadata(name)
        ),
    }
    for message, make in cases.items():
        make()
        with pytest.raises(UserError, match=message) as raised:
            Ledger(path)
        assert str(strange) in str(raised.value)
        assert "move it out of the folder; what it held is asked for again" in str(raised.value)
    strange.unlink()
    with Ledger(path) as ledger:
        assert ledger.states(SPEC, ["a"]) == {"a": "ok"}
