"""Whatever subsets are called and however many there are, a reader can tell them apart."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient_empathy.foundation.figures import looks
from efficient_empathy.foundation.figures.looks import MEASURE, NEUTRAL, Looks, contrast, css, look, shade

NAMES = st.lists(
    st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True), min_size=1, max_size=30, unique_by=lambda name: name.lower()
)
BUNDLED = Looks.of(["sensibility", "rationality", "both", "discard"], "discard")


@given(NAMES, st.integers(0, 40))
def test_no_two_subsets_share_look_letter_or_mark(names: list[str], place: int) -> None:
    looks = Looks.of(names, names[place % len(names)])
    shown = looks.subsets
    assert len({look(name) for name in (*shown, NEUTRAL, MEASURE)}) == len(shown) + 2
    assert len({looks.letter(name).lower() for name in shown}) == len(shown)
    assert len({looks.mark(name, 0, 0) for name in (*shown, "all")}) == len(shown) + 1
    assert len({looks.hue(name) for name in shown}) == len(shown)
    assert len(re.findall(r"<pattern ", looks.patterns())) == len([n for n in shown if n != looks.otherwise])


@given(NAMES)
def test_a_letter_is_the_beginning_of_its_name_and_no_longer_than_needed(names: list[str]) -> None:
    looks = Looks.of(names)
    for name in looks.subsets:
        letter = looks.letter(name)
        assert name.lower().startswith(letter.lower())
        shorter = letter[:-1].lower()
        assert not shorter or any(other.lower().startswith(shorter) for other in looks.subsets if other != name)


def test_the_subsets_of_the_bundled_policies_look_as_they_always_did() -> None:
    assert [BUNDLED.letter(name) for name in BUNDLED.subsets] == ["S", "R", "B", "D"]
    assert [BUNDLED.hue(name).degrees for name in BUNDLED.subsets] == [32, 252, 310, 80]
    without = Looks.of(["sensibility", "rationality", "discard"], "discard")
    assert [without.hue(name) for name in without.subsets] == [BUNDLED.hue(name) for name in without.subsets]


def test_names_with_a_common_beginning_have_longer_letters() -> None:
    looks = Looks.of(["safe", "sad", "joy", "joyful"])
    assert list(looks.letters.values()) == ["Saf", "Sad", "Joy", "Joyf"]


@pytest.mark.parametrize("name", ['a"b', "a b", "<i>", "é", "neutral", "measure"])
def test_a_class_is_safe_whatever_the_name(name: str) -> None:
    assert re.fullmatch(r"look-[A-Za-z0-9_-]+", look(name))
    assert look(name) not in (look(NEUTRAL), look(MEASURE))


def test_every_step_of_every_subset_has_an_ink_that_can_be_read() -> None:
    looks = Looks.of([f"subset-{i}" for i in range(25)], "subset-24")
    pairs = re.findall(r"--fill: (#\w+); --ink: (#\w+)", css(looks))
    assert len(pairs) == 28 * 11 * 2
    assert all(contrast(fill, ink) >= 4.5 for fill, ink in pairs)


@pytest.mark.parametrize("dark", [False, True])
def test_a_step_is_equally_light_in_every_subset(dark: bool) -> None:
    looks = Looks.of([f"subset-{i}" for i in range(12)], "subset-11")
    for step in range(11):
        shades = [shade(looks.hue(name), step, dark=dark) for name in (*looks.subsets, NEUTRAL, MEASURE)]
        assert max(contrast(a, b) for a in shades for b in shades) < 1.25


def test_steps_go_by_the_square_root() -> None:
    assert [looks.step_of(n, 100) for n in (0, 0.001, 1, 25, 26, 100)] == [0, 1, 1, 5, 6, 10]
    assert looks.step_of(0, 0) == 0


def test_letters_set_apart_the_subsets_of_one_run_whatever_else_has_a_hue() -> None:
    looks = Looks.of(["warm", "cold", "warmth", "calm"], "cold")
    assert looks.letter("warm") == "Warm"
    of_one_run = looks.with_letters(["warm", "cold"])
    assert [of_one_run.letter(name) for name in ("warm", "cold")] == ["W", "C"]
    assert of_one_run.hue("warm") == looks.hue("warm")
