from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.settings import load


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rank: int = Field(default=8, ge=1)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rate: float = 0.1
    inner: Inner = Inner()
    names: list[str] = []


def write(folder: Path, content: bytes) -> Path:
    path = folder / "mine.yaml"
    path.write_bytes(content)
    return path


def test_a_file_is_read_and_changed_key_by_key(tmp_path: Path) -> None:
    path = write(tmp_path, b"rate: 1e-4\ninner:\n")
    assert load(Outer, path, "the settings").rate == 1e-4
    changed = load(Outer, path, "the settings", {"inner.rank": "4", "names": "[a, b]", "rate": 0.5})
    assert (changed.inner.rank, changed.names, changed.rate) == (4, ["a", "b"], 0.5)
    assert load(Outer, None, "the settings") == Outer() == load(Outer, write(tmp_path, b""), "the settings")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"rat: 1\n", "rat is no key: did you mean rate?"),
        (b"inner:\n  rnk: 1\n", "inner.rnk is no key: did you mean rank?"),
        (b"zzz: 1\n", "zzz is no key: the keys here are rate, inner, names"),
        (b"inner:\n  rank: 0\n", "inner.rank: Input should be greater than or equal to 1"),
        (b"rate: fast\n", "rate: Input should be a valid number"),
        (b"[1]\n", "must be a mapping, key: value, not a list"),
        (b"a: b: c\n", "is not YAML"),
        (b"\xff\xfe\xfa", "is not YAML"),
    ],
)
def test_what_is_not_allowed_names_file_and_key(tmp_path: Path, content: bytes, told: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(UserError) as caught:
        load(Outer, path, "the settings")
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


def test_changes_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot set rate\.x: rate is no section"):
        load(Outer, write(tmp_path, b"rate: 1\n"), "the settings", {"rate.x": 1})
    with pytest.raises(UserError, match="cannot set names: '\\[' is not YAML"):
        load(Outer, None, "the settings", {"names": "["})
    with pytest.raises(UserError, match=r"cannot read the settings .*none\.yaml: No such file"):
        load(Outer, tmp_path / "none.yaml", "the settings")
