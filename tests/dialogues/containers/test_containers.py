from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from efficient_empathy.dialogues.containers import UnknownContentError, container_of
from efficient_empathy.foundation.errors import UserError

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("content", "container"),
    [
        ('{"a": 1}\n{"a": 2}\n', "lines"),
        ('{"a": 1}\n', "object"),
        ('{\n"a": 1}\n', "object"),
        ('\n\n  [{"a": 1}]', "array"),
        ("a,b\n1,2\n", "csv"),
        ("a\tb\n1\t2\n", "csv"),
        ("broken, line\n" + '{"a": 1}\n' * 3, "lines"),
    ],
)
@pytest.mark.parametrize("name", ["a.json", "b.csv.gz", "c"])
def test_content_decides_not_the_name(write: Write, content: str, container: str, name: str) -> None:
    assert container_of(write(name, content)) == container


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_an_empty_file_is_named(write: Write, content: str, name: str) -> None:
    with pytest.raises(UserError, match=rf"{name} is empty"):
        container_of(write(name, content))


@pytest.mark.parametrize("content", [b"just a text\nof two lines\n", b"\x1c", b"BZh91AY"])
def test_other_content_is_said_to_be_unknown(write: Write, content: bytes) -> None:
    with pytest.raises(UnknownContentError, match=r"a\.bin is neither JSON.* pass --delimiter"):
        container_of(write("a.bin", content))
