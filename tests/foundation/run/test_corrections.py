"""What stands of people's corrections, and what is read of a file that was cut or edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.corrections import (
    Before,
    Correction,
    Corrections,
    read_corrections,
)


def said(number: int, by: str = "ann", samples: str = "a", **values: object) -> Correction:
    return Correction(number=number, at=number, by=by, samples=dict.fromkeys(samples, Before()), **values)


def test_the_last_word_of_each_thing_stands_and_all_of_it_is_remembered() -> None:
    there = Corrections(
        [
            said(1, samples="ab", scores={"warmth": 3, "reason": 2}, subset="discard", tags=("odd", "cut"), note="hm"),
            said(2, "bo", scores={"warmth": 7}, untags=("odd",), reason="reads well"),
            said(3, "ann", "c", tags=("odd",)),
            said(4, "ann", samples="c", untags=("odd",)),
        ]
    )
    a = there.standing["a"]
    assert {axis: (one.value, one.by) for axis, one in a.scores.items()} == {"warmth": (7, "bo"), "reason": (2, "ann")}
    assert a.votes == {"warmth": {"ann": 3, "bo": 7}, "reason": {"ann": 2}}
    assert (a.subset.value, a.subset.text, a.tags, a.note.value) == ("discard", "set by ann", ("cut",), "hm")
    assert a.scores["warmth"].text == "set by bo: reads well"
    assert a.people == ["bo", "ann"]
    assert there.standing["b"].scores["warmth"].value == 3
    assert "c" not in there.standing
    assert [one.number for one in there.of("a")] == [1, 2]


def test_what_is_taken_back_gives_way_to_what_was_said_before() -> None:
    before = [said(1, samples="ab", scores={"warmth": 3}), said(2, "bo", samples="ab", scores={"warmth": 7})]
    there = Corrections([*before, said(3, "ann", "a", withdraws=2)])
    assert {sample: it.scores["warmth"].value for sample, it in there.standing.items()} == {"a": 3, "b": 7}
    assert there.standing["a"].votes == {"warmth": {"ann": 3}}
    assert Corrections([*there.history, said(4, samples="ab", withdraws=1)]).standing["b"].scores["warmth"].value == 7


def test_the_digest_is_of_scores_and_subsets_alone() -> None:
    one = [said(1, scores={"warmth": 3})]
    same = Corrections([*one, said(2, tags=("odd",), note="look"), said(3, samples="b", tags=("odd",))])
    assert Corrections(one).digest == same.digest != ""
    assert Corrections([said(1, tags=("odd",))]).digest == ""
    assert Corrections([*one, said(2, withdraws=1)]).digest == ""
    for other in ({"scores": {"warmth": 4}}, {"scores": {"warmth": 3}, "reason": "why"}, {"subset": "discard"}):
        assert Corrections([said(1, **other)]).digest != same.digest


def test_samples_are_counted_that_the_run_has_and_what_fits_its_rubric() -> None:
    there = Corrections(
        [
            said(1, samples="ab", scores={"warmth": 3}),
            said(2, "bo", samples="bc", subset="discard"),
            said(3, samples="d", scores={"warmth": 11}),
            said(4, samples="e", scores={"gone": 3}),
            said(5, samples="a", tags=("odd",)),
        ]
    )
    counts = there.count("abde", {"warmth": (0, 10)})
    assert counts.model_dump() == {
        "scores": 2, "subsets": 1, "unused": 2, "absent": 1, "people": {"ann": 4, "bo": 1}
    }  # fmt: skip
    assert counts.text() == (
        "People corrected samples: 2 by score and 1 by subset (ann 4, bo 1). 2 corrected samples have a subset or "
        "scores that do not fit here. 1 corrected samples are not in the run, or have another text now."
    )
    assert Corrections().count("ab", {}).text() == ""


def test_a_line_that_was_cut_short_was_never_acknowledged_and_one_that_was_edited_is_named(tmp_path: Path) -> None:
    path = tmp_path / "corrections.jsonl"
    assert read_corrections(path).history == ()
    lines = [one.model_dump_json() + "\n" for one in (said(1, scores={"warmth": 3}), said(2, samples="b", note="hm"))]
    path.write_text("".join(lines) + lines[0][:40], "utf-8")
    assert [one.number for one in read_corrections(path).history] == [1, 2]
    for broken, fault in (
        (lines[0] + "{}\n", "line 2 .*version"),
        (lines[1], "line 1 .*number 2"),
        (lines[0].replace('"by"', '"who"'), "line 1 .*"),
        ("\n", "line 1"),
    ):
        path.write_text(broken, "utf-8")
        with pytest.raises(UserError, match=f"{fault}.*put an earlier copy of the file back"):
            read_corrections(path)
