import re
from importlib.resources import files
from urllib.parse import parse_qsl

import pytest

from efficient_empathy.foundation.figures.looks import Looks, contrast
from efficient_empathy.studio.server.look import looks_in, palette_css, query_of

CSS = files("efficient_empathy.studio").joinpath("server", "static", "studio.css").read_text("utf-8")


def theme(selector: str) -> dict[str, str]:
    block = CSS[CSS.index(selector) :].split("}")[0]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def test_the_dark_theme_is_the_same_whether_the_system_or_the_switch_asks_for_it() -> None:
    assert theme(":root[data-theme=dark]") == theme(":root:not([data-theme=light])")
    assert theme(":root {").keys() == theme(":root[data-theme=dark]").keys()


@pytest.mark.parametrize("selector", [":root {", ":root[data-theme=dark]"])
def test_text_can_be_read_on_everything_it_stands_on(selector) -> None:
    colours = theme(selector)
    for paper in ("paper", "card", "faint"):
        for ink in ("ink-1", "ink-2", "accent", "warm", "bad", "good"):
            assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
        assert contrast(colours["edge"], colours[paper]) >= 3, ("the edge of a control", paper)
    for ink, paper in (("on-accent", "accent"), ("warm", "warm-paper"), ("bad", "bad-paper"), ("ink-1", "warm-paper")):
        assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)


def test_every_subset_has_every_step_in_both_themes() -> None:
    looks = Looks.of(["calm", "safe", "rest"], "rest")
    css = palette_css(looks)
    for name in ("calm", "safe", "rest", "measure", "neutral"):
        for step in range(11):
            assert css.count(f".look-{name}.q{step} {{") == 3
    for fill, ink in re.findall(r"--fill: (#\w+); --ink: (#\w+)", css):
        assert contrast(fill, ink) >= 4.5


def test_the_address_of_the_style_sheet_says_all_that_is_in_it() -> None:
    looks = Looks.of(["calm", "safe", "rest"], "rest")
    assert looks_in(dict(parse_qsl(query_of(looks)))) == looks
    assert looks_in({}) == Looks()
