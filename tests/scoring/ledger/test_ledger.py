import multiprocessing
import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.errors import Misplaced, UserError
from efficient_empathy.scoring import STATES, Judgement, Ledger
from judge_specs import spec_of

SPEC = spec_of("test", model="m")


def judgement(sample: str = "a", state: str = "ok", **rest: object) -> Judgement:
    scores = {"sensibility": 8.0, "rationality": 2.0} if state == "ok" else {}
    return Judgement(sample, state, "judge", "rubric", **{"scores": scores, **rest})


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def test_a_judgement_comes_back_as_it_went_in(ledger) -> None:
    given = judgement(
        raw="Rationality: 2 …\0", reason="", prompt_tokens=7, completion_tokens=3, cost_usd=0.25, latency_s=1.5,
        requests=2, created_at=12.5, probabilities={"sensibility": [0.25, 0.75], "rationality": [1.0, 0.0]},
    )  # fmt: skip
    ledger.record(SPEC, [given])
    assert ledger.latest(SPEC, ["a"]) == {"a": given}
    assert list(ledger.judgements()) == [given]


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(2, 12), min_size=1), st.randoms())
def test_distributions_keep_the_length_of_each_axis(tmp_path_factory, levels, random) -> None:
    tables = {axis: [random.randrange(65) / 64 for _ in range(count)] for axis, count in levels.items()}
    shuffled = dict(random.sample(list(tables.items()), len(tables)))
    stored = judgement(scores=dict.fromkeys(tables, 1.0), probabilities=shuffled)
    with Ledger(tmp_path_factory.mktemp("ledger") / "l.sqlite") as ledger:
        ledger.record(SPEC, [stored])
        assert ledger.latest(SPEC, ["a"])["a"].probabilities == tables


def test_only_samples_without_an_ok_judgement_are_missing(ledger) -> None:
    ledger.record(SPEC, [judgement("a"), judgement("b", "api_error"), judgement("c", "refused")])
    assert ledger.missing(SPEC, ["a", "b", "c", "d"]) == {"b", "c", "d"}
    assert ledger.missing(spec_of("other"), ["a"]) == {"a"}


def test_an_ok_judgement_stands_before_failures_whenever_they_came(ledger) -> None:
    ledger.record(SPEC, [judgement("a", "api_error"), judgement("a"), judgement("a", "api_error")])
    assert ledger.latest(SPEC, ["a"])["a"].state == "ok"
    assert ledger.states(SPEC, ["a", "b"]) == {"a": "ok"}


def test_there_is_at_most_one_ok_judgement_under_a_key(ledger) -> None:
    ledger.record(SPEC, [judgement("a", cost_usd=1.0)])
    ledger.record(SPEC, [judgement("a", cost_usd=2.0)])
    assert [j.cost_usd for j in ledger.judgements(SPEC)] == [1.0]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(STATES)), max_size=20))
def test_missing_and_latest_agree_whatever_was_recorded(tmp_path_factory, history) -> None:
    with Ledger(tmp_path_factory.mktemp("ledger") / "l.sqlite") as ledger:
        for sample, state in history:
            ledger.record(SPEC, [judgement(sample, state)])
        latest = ledger.latest(SPEC, list("abc"))
        assert set(latest) == {sample for sample, _ in history}
        assert ledger.missing(SPEC, list("abc")) == {s for s in "abc" if s not in latest or latest[s].state != "ok"}


def test_costs_add_up_over_failures_too(ledger) -> None:
    ledger.record(
        SPEC, [judgement("a", cost_usd=0.5, requests=1), judgement("b", "api_error", cost_usd=0.25, requests=3)]
    )
    ledger.record(spec_of("other"), [judgement("a", cost_usd=1.0, requests=1)])
    assert ledger.spent_usd() == 1.75
    assert ledger.totals(SPEC).requests == 4
    assert ledger.specs() == [SPEC, spec_of("other")]


def test_it_knows_whether_the_judge_gives_distributions(ledger) -> None:
    ledger.record(spec_of("plain"), [judgement("a")])
    ledger.record(spec_of("rich"), [judgement("a", probabilities={"sensibility": [1.0], "rationality": [1.0]})])
    assert [ledger.has_probabilities(spec) for spec in map(spec_of, ("plain", "rich", "unknown"))] == [
        False,
        True,
        False,
    ]


def _write(path, start: int) -> None:
    with Ledger(path) as ledger:
        for i in range(start, start + 200):
            ledger.record(SPEC, [judgement(str(i))])


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path) -> None:
    path = tmp_path / "ledger.sqlite"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, start)) for start in (0, 100)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with Ledger(path) as ledger:
        assert sorted(int(j.sample_id) for j in ledger.judgements()) == list(range(300))


def test_a_file_that_is_no_ledger_is_named_and_left_alone(tmp_path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"this is not a database, but it is long enough to look" * 20)
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"cannot use the ledger .*ledger\.sqlite"):
        Ledger(path)
    assert path.read_bytes() == before


def test_a_ledger_of_a_later_version_is_refused(tmp_path) -> None:
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="version 99"):
        Ledger(path)


def test_a_read_only_ledger_writes_nothing(tmp_path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.record(SPEC, [judgement("a")])
    before = path.read_bytes()
    with Ledger(path, read_only=True) as ledger:
        assert ledger.states(SPEC, ["a"]) == {"a": "ok"}
        with pytest.raises(UserError, match="readonly"):
            ledger.record(SPEC, [judgement("b")])
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [True, False])
def test_somebody_elses_database_is_left_alone(tmp_path, read_only) -> None:
    path = tmp_path / "mine.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    before = path.read_bytes()
    with pytest.raises(UserError, match=rf"^{path} is not a ledger by this program: name another file or folder$"):
        Ledger(path, read_only=read_only)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.db"]
    assert read_only is False or path.read_bytes() == before


def test_what_was_committed_counts_as_spent_even_if_nothing_came_of_it(tmp_path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.record(SPEC, [judgement("a", cost_usd=0.5)])
        ledger.commit_usd(0.75)
    with Ledger(path) as ledger:
        assert ledger.spent_usd() == 0.75
        ledger.commit_usd(0.6)
        assert ledger.spent_usd() == 0.6


def test_a_full_disk_keeps_what_was_recorded(tmp_path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.record(SPEC, [judgement("a")])
        ledger._db.execute("PRAGMA max_page_count = 12")
        with pytest.raises(UserError, match="full"):
            ledger.record(SPEC, [judgement(f"{i}", raw="x" * 4000) for i in range(50)])
    with Ledger(path) as ledger:
        assert [j.sample_id for j in ledger.judgements()] == ["a"]


def test_a_samples_history_has_every_judge_and_every_failure_oldest_first(ledger) -> None:
    ledger.record(SPEC, [judgement("a", "api_error"), judgement("b")])
    ledger.record(spec_of("other"), [judgement("a")])
    ledger.record(SPEC, [judgement("a")])
    result = ledger.history("a")
    assert [(spec, j.state) for _, spec, j in result] == [(SPEC, "api_error"), (spec_of("other"), "ok"), (SPEC, "ok")]
    assert [number for number, _, _ in result] == sorted({number for number, _, _ in result})
    assert ledger.history("nobody") == []


def _killed_before_statement(path, number: int) -> None:
    """Make a ledger in a child that is killed before its `number`-th SQL statement."""
    pid = os.fork()
    if not pid:
        count = 0

        class Killing(sqlite3.Connection):
            def _count(self) -> None:
                nonlocal count
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)

            def execute(self, *arguments):
                self._count()
                return super().execute(*arguments)

            def executescript(self, script):
                self._count()
                return super().executescript(script)

        connect = sqlite3.connect
        sqlite3.connect = lambda *place, **options: connect(*place, **options, factory=Killing)
        with Ledger(path) as ledger:
            ledger.record(SPEC, [judgement()])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("number", range(1, 9))
def test_killed_while_it_is_made_it_is_empty_to_readers_and_the_next_writer_makes_it_whole(tmp_path, number) -> None:
    path = tmp_path / "ledger.sqlite"
    _killed_before_statement(path, number)
    with Ledger(path, read_only=True) as ledger:
        assert (list(ledger.judgements()), ledger.spent_usd()) == ([], 0.0)
    with Ledger(path) as ledger:
        ledger.record(SPEC, [judgement()])
    with Ledger(path, read_only=True) as ledger:
        assert len(list(ledger.judgements())) == 1


@pytest.mark.parametrize("kinds", [[], ["-wal"], ["-wal", "-shm"], ["-journal"]])
def test_an_empty_file_is_an_empty_ledger_whatever_lies_beside_it(tmp_path, kinds) -> None:
    path = tmp_path / "ledger.sqlite"
    for kind in ["", *kinds]:
        path.with_name(f"{path.name}{kind}").touch()
    with Ledger(path, read_only=True) as ledger:
        assert ledger.specs() == []
    with Ledger(path) as ledger:
        ledger.record(SPEC, [judgement()])
        assert ledger.states(SPEC, ["a"]) == {"a": "ok"}


def test_a_reader_sees_what_was_whole_before_a_write_that_a_journal_says_was_cut_short(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.record(SPEC, [judgement(f"s{i}") for i in range(300)])
    pid = os.fork()
    if not pid:  # as on a disk without shared memory: no WAL
        database = sqlite3.connect(path, isolation_level=None)
        for statement in ("PRAGMA journal_mode = DELETE", "PRAGMA cache_size = 1", "BEGIN"):
            database.execute(statement)
        database.execute("UPDATE judgements SET raw = hex(zeroblob(300))")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert "ledger.sqlite-journal" in before
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as half_written:
        assert half_written.execute("SELECT count(*) FROM judgements WHERE raw <> ''").fetchone()[0] > 0
    with Ledger(path, read_only=True) as ledger:
        assert [j.raw for j in ledger.judgements()] == [""] * 300
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_another_thread_may_write(ledger) -> None:
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda n: ledger.record(SPEC, [judgement(f"s{n}")]), range(20)))
    assert len(list(ledger.judgements())) == 20


def test_a_ledger_that_was_moved_away_is_named_and_takes_nothing_more(tmp_path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        path.rename(tmp_path / "moved.sqlite")
        for write in (lambda: ledger.record(SPEC, [judgement()]), lambda: ledger.commit_usd(0.5)):
            with pytest.raises(Misplaced, match=rf"^{path} was moved, deleted or replaced while it was in use"):
                write()
    assert not path.exists()


def test_what_is_committed_of_money_is_on_the_disk_before_it_is_spent(tmp_path) -> None:
    synced = []
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger._db.execute("PRAGMA synchronous").fetchone() == (1,), "judgements wait for no disk"
        ledger._db._db.set_trace_callback(synced.append)
        ledger.commit_usd(0.5)
        assert ledger._db.execute("PRAGMA synchronous").fetchone() == (1,)
    full, spending = (next(i for i, one in enumerate(synced) if word in one) for word in ("= FULL", "INTO spending"))
    assert full < spending
