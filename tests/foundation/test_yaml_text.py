from __future__ import annotations

import os
from pathlib import Path

import pytest

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import read
from efficient_empathy.foundation.yaml_text import MOST_BYTES, YAMLFaultError, parse_yaml

LAUGHS = "a0: &a0 [x, x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
MERGES = "a: &k0 {b: 1}\n" + "".join(f"a{i}: &k{i}\n  <<: [{', '.join([f'*k{i - 1}'] * 10)}]\n" for i in range(1, 12))
BOMBS = {
    "aliases": (LAUGHS, "its aliases grow to more than"),
    "merges": (MERGES, "its aliases grow to more than"),
    "a circle": ("a: &a [*a]", "a value holds itself"),
    "brackets": ("[" * 50_000, "nested more than 100 deep"),
    "indentation": ("".join(" " * i + "a:\n" for i in range(2_000)), "nested more than 100 deep"),
    "digits": ("a: " + "1" * 10**6, "a number has 1,000,000 digits"),
    "base 60": ("a: 1" + ":1" * 10**5, "a number has 200,001 digits"),
    "an object": ("!!python/object/apply:os.system [echo]", "could not determine a constructor"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_grow_or_never_end_is_refused(name: str, tmp_path: Path) -> None:
    text, reason = BOMBS[name]
    path = tmp_path / "bomb.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError, match=rf"the recipe .*bomb.yaml is not YAML: .*{reason}"):
        read(path, "the recipe")


def test_aliases_in_reason_are_read() -> None:
    text = "base: &base {a: 1, b: [1, 2]}\none: {<<: *base, a: 2}\nmany: [*base, *base]\n"
    content = parse_yaml(text)
    assert content["one"] == {"a": 2, "b": [1, 2]}
    assert content["many"] == [{"a": 1, "b": [1, 2]}] * 2


def test_only_files_of_a_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_text("#" * (MOST_BYTES + 1), "utf-8")
    with pytest.raises(UserError, match="larger than 16 MB"):
        read(tmp_path / "large.yaml", "the rubric")
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", Path("/dev/zero"), tmp_path):
        with pytest.raises(UserError, match=rf"the rubric {path} is not YAML: it is no file"):
            read(path, "the rubric")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(UserError, match="is not UTF-8"):
        read(tmp_path / "latin.yaml", "the rubric")


@pytest.mark.parametrize("text", ["a: 2001-99-99", "{a: 1", "? [a]\n: 1"])
def test_a_value_that_is_none_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(YAMLFaultError, match=r"\w"):
        parse_yaml(text)
