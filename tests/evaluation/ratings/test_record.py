import stat

import pytest

from efficient_empathy.evaluation.ratings.questions import load_questionnaire
from efficient_empathy.evaluation.ratings.record import Item, Key, SheetKey, fingerprint, write_key
from efficient_empathy.foundation.errors import UserError


def key(seed=0):
    item = Item(task="likert", sample_id="s", sides=[["moe"]], text=fingerprint(["a"]))
    sheet = SheetKey(rater="ann", files=["ann.xlsx"], sha256="0" * 64, items={"bcdfgh": item})
    return Key(
        study="main",
        seed=seed,
        models=["moe"],
        questionnaire=load_questionnaire(),
        dialogues={"s": "d"},
        identical=[],
        sheets=[sheet],
    )


def test_it_comes_back_as_it_was_and_is_the_owner_s_alone(tmp_path) -> None:
    path = write_key(key(), tmp_path / "ratings")
    assert Key.read(path) == key()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key().find("bcdfgh") == (key().sheets[0], key().sheets[0].items["bcdfgh"])
    assert key().find("nothin") is None


def test_another_key_is_never_lost(tmp_path) -> None:
    write_key(key(), tmp_path)
    write_key(key(), tmp_path)
    with pytest.raises(UserError, match="belongs to other sheets"):
        write_key(key(1), tmp_path)
    assert Key.read(tmp_path / "key.json") == key()
    write_key(key(1), tmp_path, force=True)
    write_key(key(2), tmp_path, force=True)
    assert [Key.read(tmp_path / name).seed for name in ("key-1.json", "key-2.json", "key.json")] == [0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"version": 1, "model": "moe"}'])
def test_what_is_no_key_is_named(tmp_path, content) -> None:
    (tmp_path / "key.json").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read .*key\.json \(.*ratings sheets"):
        Key.read(tmp_path / "key.json")
    with pytest.raises(UserError, match=r"cannot read .*none\.json"):
        Key.read(tmp_path / "none.json")


def test_a_fingerprint_outlives_encodings_but_not_another_text() -> None:
    assert fingerprint(["“I see” é", "a\r\nb"]) == fingerprint(["?I see? ", "a b"])
    assert fingerprint(["I see"]) != fingerprint(["I saw"])
