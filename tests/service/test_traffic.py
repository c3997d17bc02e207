import time

import pytest

from efficient_empathy.dialogues import Sample, Utterance
from efficient_empathy.labelling.prediction.tally import InputCounts
from efficient_empathy.service.history import SERVED, TRAFFIC, History
from efficient_empathy.service.traffic import DRIFT_MINUTES, ENOUGH, HOURS, Minute, TrafficFolder, drift_counts, total
from service_server import bundled

RECORD = bundled().record
NOW = int(time.time() // 60)
SAMPLES = [Sample.of([Utterance("speaker", f"i lost my keys {i}")], "oh no , where ?", dialogue_id="d") for i in (1, 2)]


def minute(number: int = NOW, **fields) -> Minute:
    return Minute.model_validate({"minute": number, "served": RECORD.key, "requests": {"200": 1}, **fields})


def scored(history: History) -> None:
    """One request, of a conversation with two samples."""
    history.add_item("ok", bundled().scorer(SAMPLES))
    history.add_request(200, 0.02)


def test_lines_of_a_minute_add_up_and_those_of_others_count_as_requests_alone(tmp_path) -> None:
    folder = TrafficFolder(tmp_path / "counts")
    history = History(bundled(), tmp_path)
    for _ in range(2):
        scored(history)
        history.take()
        history.write()
    kept = total(TrafficFolder(tmp_path / TRAFFIC).read(NOW - 5, RECORD).values())
    assert kept is not None
    assert (kept.requests, kept.items, kept.inputs.samples, kept.inputs.squares) == ({"200": 2}, {"ok": 2}, 4, 8)
    assert sum(kept.scores["sensibility"]) == sum(kept.subsets.values()) == 4
    answers = [answer.content["scores"]["sensibility"] for answer in bundled().scorer(SAMPLES)]
    assert kept.sums["sensibility"] == pytest.approx(2 * sum(answers), abs=1e-3)
    folder.append(kept)
    folder.append(kept.model_copy(update={"served": "another"}))
    whole = total(folder.read(NOW - 5, RECORD).values())
    assert whole is not None
    assert (whole.requests, whole.inputs, whole.scores) == ({"200": 4}, kept.inputs, kept.scores)
    assert (tmp_path / SERVED).is_file()


def test_counts_go_on_after_a_restart_and_a_line_that_was_cut(tmp_path) -> None:
    first = TrafficFolder(tmp_path)
    first.append(minute())
    first.append(minute())
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-20])  # what a kill or a full disk leaves
    TrafficFolder(tmp_path).append(minute())
    (whole,) = TrafficFolder(tmp_path).read(NOW, RECORD).values()
    assert whole.requests == {"200": 2}


def test_what_is_older_than_two_days_goes_and_nothing_else(tmp_path) -> None:
    folder = TrafficFolder(tmp_path)
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    for hours in (HOURS + 2, HOURS - 1, 1):
        folder.append(minute(NOW - 60 * hours))
    folder.append(minute())
    assert len(list(tmp_path.glob("*.jsonl"))) == 3
    assert (tmp_path / "notes.txt").exists()
    assert list(folder.read(NOW - 120, RECORD)) == [NOW - 60, NOW]
    assert sum(path.stat().st_mode & 0o077 for path in tmp_path.glob("*.jsonl")) == 0


def test_a_disk_that_is_full_costs_no_count_once_there_is_room(tmp_path, caplog) -> None:
    history = History(bundled(), tmp_path)
    (tmp_path / TRAFFIC).mkdir(exist_ok=True)
    hours = [time.strftime("%Y-%m-%dT%H", time.gmtime(60 * number)) for number in (NOW, NOW + 60)]
    links = [tmp_path / TRAFFIC / f"{hour}.jsonl" for hour in hours]
    for link in links:
        link.symlink_to("/dev/full")
    for _ in range(3):
        scored(history)
        history.take()
        history.write()
    assert history.status()["fault"] == f"cannot write the counts in {tmp_path / TRAFFIC}: No space left on device"
    assert len(caplog.records) == 1
    for link in links:
        link.unlink()
    history.write()
    assert "fault" not in history.status()
    kept = total(TrafficFolder(tmp_path / TRAFFIC).read(NOW - 5, RECORD).values())
    assert kept is not None
    assert kept.requests == {"200": 3}


def inputs(samples: int) -> dict:
    return InputCounts(samples=samples, squares=samples).model_dump()


def test_drift_looks_back_as_far_as_it_takes_and_a_day_at_most() -> None:
    few = {NOW - 30 * k: minute(NOW - 30 * k, inputs=inputs(10)) for k in range(60)}
    counts, reach = drift_counts(few, NOW)
    assert counts.samples == 10 * (DRIFT_MINUTES // 30)
    assert DRIFT_MINUTES - 60 < reach <= DRIFT_MINUTES
    many = {NOW - k: minute(NOW - k, inputs=inputs(ENOUGH)) for k in range(0, 200, 20)}
    assert drift_counts(many, NOW) == (InputCounts(samples=3 * ENOUGH, squares=3 * ENOUGH), 60)
    assert drift_counts({}, NOW) == (InputCounts(), 60)


def test_few_samples_tell_nothing_and_many_strange_ones_are_an_alarm() -> None:
    history = History(bundled(), None)
    assert history.level == "none"
    scored(history)
    history.take()
    assert history.level == "unknown"
    strange = Sample.of([Utterance("speaker", "def f ( x ) : return x ** 2")], "import numpy as np ; np . zeros ( 3 )")
    answers = bundled().scorer([strange])
    for _ in range(200):
        history.add_item("ok", answers)
        history.add_request(200, 0.02)
    history.take()
    assert history.level in ("watch", "alarm")
    assert history.status()["drift"]["words"]
