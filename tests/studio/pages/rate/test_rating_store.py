import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from efficient_empathy.evaluation.ratings import Design
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.studio.pages.rate.store import Rating, RatingStore
from efficient_empathy.studio.pages.rate.tasks import draw_design
from rated_runs import responded_run


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    run = responded_run(tmp_path_factory.mktemp("store") / "run")
    return draw_design(run, "main", ["moe", "base"], Design(("ann", "bo")), 3)


@pytest.fixture
def store(tmp_path):
    return RatingStore(tmp_path / "ratings" / "studio.sqlite")


@pytest.fixture
def ann(store, drawn):
    study = store.add_study(drawn, {"models": ["moe", "base"]})
    return store.rater(study, "ann")


def rating(item, value, submission, question="empathy", milliseconds=1234):
    return Rating(item, question, value, milliseconds, submission)


def log(store):
    with sqlite3.connect(store.path) as db:
        return db.execute("SELECT item, question, value, undoes FROM ratings ORDER BY id").fetchall()


def test_a_study_is_kept_as_it_was_drawn(store, drawn, ann, tmp_path):
    again = RatingStore(store.path)
    assert again.studies()[0].key == drawn.key
    assert again.tasks(ann) == drawn.tasks["ann"]
    assert again.task(ann, 2) == drawn.tasks["ann"][1]
    assert again.task(ann, 99) is None
    assert again.progress(ann) == {"total": len(drawn.tasks["ann"]), "done": 0, "next": 1}
    assert store.path.stat().st_mode & 0o077 == 0


def test_a_rating_has_who_what_when_how_long_and_what_was_shown(store, ann):
    task = store.task(ann, 1)
    store.rate(ann, rating(task.item, "4", "one-one-one"))
    with sqlite3.connect(store.path) as db:
        db.row_factory = sqlite3.Row
        row = dict(db.execute("SELECT * FROM ratings").fetchone())
    assert row.pop("at") > 1.7e9
    assert row == {
        "id": 1, "rater": ann.id, "item": task.item, "question": "empathy", "value": "4", "place": 1,
        "sides": f'[["{task.sides[0][0]}"]]', "milliseconds": 1234, "submission": "one-one-one", "undoes": None,
    }  # fmt: skip
    assert store.rater(ann.study, "ann").seen_at is not None


def test_a_submission_that_comes_twice_counts_once(store, ann):
    item = store.task(ann, 1).item
    for _ in range(3):
        store.rate(ann, rating(item, "4", "one-one-one"))
    store.rate(ann, rating(item, "4", "two-two-two"))  # another tab says the same
    store.rate(ann, rating(item, "2", "three-three"))
    store.rate(ann, rating(item, "4", "one-one-one"))  # and the first comes late once more
    assert [row[2] for row in log(store)] == ["4", "2"]
    assert store.answers_to(ann, item) == {"empathy": "2"}


def test_undo_takes_back_one_after_the_other_and_keeps_the_log(store, ann):
    first, second = store.task(ann, 1).item, store.task(ann, 2).item
    store.rate(ann, rating(first, "4", "aaaaaaaa"))
    store.rate(ann, rating(first, "5", "bbbbbbbb"))
    store.rate(ann, rating(second, "1", "cccccccc"))
    assert store.undo(ann, "undo-one") == 2
    assert store.undo(ann, "undo-one") == 2  # the same request again
    assert store.answers_to(ann, second) == {}
    assert store.undo(ann, "undo-two") == 1
    assert store.answers_to(ann, first) == {"empathy": "4"}
    assert store.undo(ann, "undo-three") == 1
    assert store.undo(ann, "undo-four") is None
    assert store.answers_to(ann, first) == {}
    store.rate(ann, rating(first, "3", "dddddddd"))
    assert store.answers_to(ann, first) == {"empathy": "3"}
    assert [row[2] for row in log(store)] == ["4", "5", "1", None, "4", None, "3"]


def test_a_task_is_done_when_every_question_is_answered(store, ann):
    item = store.task(ann, 1).item
    for number, question in enumerate(["coherence", "empathy", "informativeness", "comment"]):
        store.rate(ann, rating(item, "3", f"number-{number}", question))
    assert store.progress(ann)["done"] == 0
    store.rate(ann, rating(item, "", "cannot-judge", "continuity"))
    assert store.progress(ann) == {"total": len(store.tasks(ann)), "done": 1, "next": 2}
    assert store.progress_of_all(ann.study) == {
        "ann": {"total": len(store.tasks(ann)), "done": 1},
        "bo": {"total": len(store.tasks(ann)), "done": 0},
    }


def test_raters_see_their_own_alone(store, ann):
    bo = store.rater(ann.study, "bo")
    item = store.task(bo, 1).item
    assert store.task_of(ann, item) is None
    store.rate(bo, rating(item, "4", "aaaaaaaa"))
    store.rate(ann, rating(store.task(ann, 1).item, "1", "aaaaaaaa"))  # the same name of a submission is another's
    assert store.answers_to(ann, item) == {}
    assert len(log(store)) == 2


def test_a_link_opens_one_raters_tasks(store, ann):
    assert store.rater_of("some-link") is None
    store.give_link(ann, "some-link")
    found, closed = store.rater_of("some-link")
    assert (found.name, closed) == ("ann", False)
    store.close_study(ann.study, closed=True)
    assert store.rater_of("some-link")[1] is True
    store.give_link(ann, "another")
    assert store.rater_of("some-link") is None


_OF = {"raters": "study", "turns": "study", "items": "rater", "ratings": "rater", "answers": "rater"}


def _of(table, study, rater):
    return study if _OF[table] == "study" else rater.id


def test_two_studies_of_one_design_stand_apart_and_one_is_deleted_alone(store, drawn):
    key = drawn.key.model_copy(update={"study": "again"})
    one, other = store.add_study(drawn, {}), store.add_study(replace(drawn, key=key), {})
    item = drawn.tasks["ann"][0].item
    store.rate(store.rater(one, "ann"), rating(item, "4", "aaaaaaaa"))
    assert store.answers_to(store.rater(other, "ann"), item) == {}
    assert store.last(one) == 1
    assert store.last(other) == 0
    with pytest.raises(UserError, match="there is a study AGAIN already: take another name"):
        store.add_study(replace(drawn, key=key.model_copy(update={"study": "AGAIN"})), {})
    rated = store.rater(other, "bo")
    store.rate(rated, rating(store.task(rated, 1).item, "4", "bbbbbbbb"))
    store.undo(rated, "an-undoing")
    store.delete_study(other)
    assert [study.name for study in store.studies()] == ["main"]
    with sqlite3.connect(store.path) as db:
        for table in ("raters", "turns", "items", "ratings", "answers"):
            assert not db.execute(
                f"SELECT 1 FROM {table} WHERE {_OF[table]} = ?", (_of(table, other, rated),)
            ).fetchall()
    assert store.answers_to(store.rater(one, "ann"), item) == {"empathy": "4"}


def test_many_threads_and_two_processes_worth_of_connections_lose_nothing(store, ann, drawn):
    other = RatingStore(store.path)
    items = [task.item for task in drawn.tasks["ann"]]

    def rate(which, number):
        for item in items:
            which.rate(ann, rating(item, str(number % 5 + 1), f"{number:04}-{item}"))

    threads = [threading.Thread(target=rate, args=((store, other)[i % 2], i)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = log(store)
    assert len({row[0] for row in rows}) == len(items)
    assert all(store.answers_to(ann, item)["empathy"] == [r for r in rows if r[0] == item][-1][2] for item in items)


def test_a_file_of_another_kind_is_left_alone(tmp_path):
    path = tmp_path / "studio.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    with pytest.raises(UserError, match="move it elsewhere"):
        RatingStore(path)
    path.write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(UserError, match="cannot use the file of ratings"):
        RatingStore(path)


def test_what_is_not_there_is_told(store, ann):
    with pytest.raises(UserError, match="no such rating"):
        store.study("nothing")
    with pytest.raises(UserError, match="no such rating"):
        store.close_study("nothing", closed=True)
    with pytest.raises(UserError, match="no rater 'cy'"):
        store.rater(ann.study, "cy")


def test_readers_never_wait_for_a_rating_that_is_written_and_each_is_synced(store):
    with closing(sqlite3.connect(store.path)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert tuple(store._db.execute("PRAGMA synchronous").fetchone()) == (2,)  # FULL
