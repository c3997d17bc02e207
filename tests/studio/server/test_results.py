from __future__ import annotations

import threading

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.server.results import Hashes, Results, key_of


def ended(results: Results, key: str) -> None:
    for thread in threading.enumerate():
        if thread.name == "studio-result":
            thread.join(10)
    state = results.state(key)
    assert state is not None
    assert state.ended


def test_a_result_is_worked_out_once_and_kept(tmp_path):
    calls, going, seen = [], threading.Event(), threading.Event()

    def work(tell):
        calls.append(1)
        tell(0.5, "half")
        seen.set()
        going.wait(10)
        return {"answer": 42}

    results = Results(tmp_path)
    assert results.get("k", work).value is None
    seen.wait(10)
    half = results.get("k", work)
    assert (half.share, half.doing, half.ended) == (0.5, "half", False)
    going.set()
    ended(results, "k")
    assert results.get("k", work).value == {"answer": 42}
    assert Results(tmp_path).get("k", work).value == {"answer": 42}
    assert len(calls) == 1


def test_what_fails_is_a_sentence_until_it_is_tried_again(tmp_path):
    def fails(tell):
        raise UserError("there are no scores")

    def breaks(tell):
        raise RuntimeError("secret detail")

    results = Results(tmp_path)
    results.get("k", fails)
    ended(results, "k")
    assert results.get("k", breaks).fault == "there are no scores"
    results.retry("k")
    results.get("k", breaks)
    ended(results, "k")
    assert "secret" not in results.get("k", breaks).fault
    assert not list(tmp_path.iterdir())


def test_a_damaged_or_unwritable_store_costs_nothing_but_time(tmp_path):
    (tmp_path / "k.json").write_text("{")
    results = Results(tmp_path)
    assert not results.get("k", lambda tell: {"a": 1}).fault
    ended(results, "k")
    assert results.get("k", lambda tell: {}).value == {"a": 1}
    (tmp_path / "file").write_text("")
    blocked = Results(tmp_path / "file" / "below")
    blocked.get("k", lambda tell: {"a": 2})
    ended(blocked, "k")
    assert blocked.get("k", lambda tell: {}).value == {"a": 2}


def test_hashes_follow_the_files(tmp_path):
    hashes, path = Hashes(), tmp_path / "file"
    assert hashes.of(path) == "absent"
    path.write_text("one")
    first = hashes.of(path)
    path.write_text("three")
    assert hashes.of(path) != first
    assert key_of(1, ["a"]) != key_of(1, ["b"])
