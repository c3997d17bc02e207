"""The names in the studio's scripts: what a view or a page holds is called by a noun, what it does by a verb."""

import re
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[2] / "src" / "efficient_empathy" / "studio").rglob("*.js"))
MEMBER = re.compile(r"\b(?:this|state|turn|map)\.([a-zA-Z]+)|^  (?:get )?([a-zA-Z]+)\([^()]*\) \{$", re.MULTILINE)
PARTICIPLE = re.compile(
    r"(?!is[A-Z]|need)\w*ed|drawn|shown|chosen|held|sent|given|written|seen|kept|told|found|known|hidden"
)
OF_ANSWERS = {"scored", "unscored", "unnamed", "expected", "ended"}
"""Fields of what the studio's server answers."""


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_member_is_named_by_a_participle(path: Path) -> None:
    names = {name for pair in MEMBER.findall(path.read_text("utf-8")) for name in pair if name}
    assert [name for name in sorted(names - OF_ANSWERS) if PARTICIPLE.fullmatch(name)] == []
