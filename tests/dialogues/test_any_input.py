"""Whatever the bytes are, the outcome is samples or a `UserError`."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from efficient_empathy.dialogues import format_names, inspect_source, open_source, write_samples
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["context", "response", "messages", "role", "content", "data", "train"]), inner, max_size=5
        )
    ),
    max_leaves=30,
)
TEXT_PIECES = ["context,response\n", '"', ",", "\n", "\r", "\0", "[", "{", '{"context": "a", "response": "b"}', "a,b\n"]
ED_PIECES = ["conv_id,utterance_idx,speaker_idx,utterance\n", "x,1,0,hi\n", "x,2,1,oh\n"]
BYTE_PIECES = [b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"PAR1", b"\x1f\x8b\x08"]
PIECES = st.sampled_from([*(piece.encode() for piece in TEXT_PIECES + ED_PIECES), *BYTE_PIECES])
BYTES = st.binary(max_size=200) | st.lists(PIECES, max_size=12).map(b"".join)


def check(content: bytes, format_name: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as output:
        path = Path(folder) / "input"
        path.write_bytes(content)
        for mode in ("skip", "fail"):
            with contextlib.suppress(UserError):
                source = open_source(path, ReadingSettings(format=format_name, on_bad_row=mode))
                write_samples(source, Path(output) / "samples.parquet")
        with contextlib.suppress(UserError):
            inspect_source(folder)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Keeps other tests' garbage from being finalised at the recursion limit, where no finaliser works."""
    gc.disable()
    yield
    gc.enable()


@settings(max_examples=300, deadline=None)
@given(content=BYTES, packed=st.booleans(), format_name=st.none() | st.sampled_from(format_names()))
def test_arbitrary_bytes(content: bytes, packed: bool, format_name: str | None) -> None:
    check(gzip.compress(content) if packed else content, format_name)


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(JSON, max_size=4),
    lines=st.booleans(),
    indent=st.sampled_from([None, 1]),
    format_name=st.sampled_from(format_names()),
)
def test_arbitrary_json(values: list[object], lines: bool, indent: int | None, format_name: str) -> None:
    text = "\n".join(map(json.dumps, values)) if lines else json.dumps(values, indent=indent)
    check(text.encode(), None)
    check(text.encode(), format_name)


@pytest.mark.parametrize(
    "content", [b"[" * 1_000_000, b'{"a":' * 1_000_000, b"[[[]]" * 10_000, b'[1e999, {"turn": ' + b"9" * 10_000]
)
def test_hostile_json(content: bytes, no_collection: None) -> None:
    check(content, None)
    check(content, "table")
