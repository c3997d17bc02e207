"""The handbook's drawings: those of scripts/handbook_drawings.py, in words that a picture can hold."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from repository_scripts import load_script

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def script():
    return load_script("handbook_drawings")


@pytest.mark.parametrize("name", ["pipeline", "rules", "mixture"])
def test_a_drawing_is_what_the_script_draws_and_has_colours_in_the_site(script, name) -> None:
    drawn = (ROOT / "docs" / "figures" / f"{name}.svg").read_text("utf-8")
    assert drawn == getattr(script, name)() + "\n", "python scripts/handbook_drawings.py"
    looks = {one for element in ElementTree.fromstring(drawn).iter() for one in element.get("class", "").split()}
    style = (ROOT / "docs" / "site" / "site.css").read_text("utf-8")
    assert looks <= {*re.findall(r"\.drawing \.(\w+)", style)}


def test_the_rules_are_those_of_the_policies(script) -> None:
    """By the paper's words, with scores of 0 to 10 and both thresholds at 5."""
    paper, exclusive = script.subsets_of("paper"), script.subsets_of("exclusive")
    for (sensibility, rationality), subset in paper.items():
        wanted = "discard"
        if rationality > 5:
            wanted = "rationality"
        elif sensibility > 5 and rationality < 5:
            wanted = "sensibility"
        assert subset == wanted
        if wanted == "rationality" and sensibility >= 5:
            wanted = "discard"
        assert exclusive[sensibility, rationality] == wanted
    cells = ElementTree.fromstring(script.rules()).iter(f"{SVG}rect")
    assert len([one for one in cells if one.get("width") == "18"]) == 3 * 121 - 25, "25 are halves of two kinds"
