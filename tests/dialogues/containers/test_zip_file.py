from __future__ import annotations

import gzip
import json
import stat
import zipfile
from pathlib import Path

import polars as pl
import pytest

from efficient_empathy.dialogues import inspect_source, open_source
from efficient_empathy.dialogues.containers import packing
from efficient_empathy.dialogues.settings import InspectionSettings, ReadingSettings
from efficient_empathy.foundation.errors import UserError

ROWS = "".join(json.dumps({"context": f"hi {i}", "response": "hello"}) + "\n" for i in range(3)).encode()
CSV = b"context,response\nhi,hello\n"
MESSAGES = b'{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}\n'
ED = b"conv_id,utterance_idx,context,prompt,speaker_idx,utterance\na,1,sad,p,0,hi\na,2,sad,p,1,hello\n"

Member = tuple[str | zipfile.ZipInfo, bytes]


def pack(path: Path, *members: Member, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_one_file_is_that_file(tmp_path: Path, method: int) -> None:
    extras: list[Member] = [
        ("__MACOSX/._a.jsonl", b"\0\5"),
        ("README.md", b"# Data, as it is"),
        ("data/.DS_Store", b"\1"),
    ]
    path = pack(tmp_path / "a.zip", *extras, ("data/", b""), ("data/valid.jsonl", ROWS), method=method)
    source = open_source(path)
    assert [sample.context[0].text for sample in source] == ["hi 0", "hi 1", "hi 2"]
    assert {(sample.source, sample.split) for sample in source} == {("valid.jsonl", "valid")}
    assert (source.files, source.skipped_files) == ([path], [])


def test_files_are_read_as_those_of_a_folder_and_the_others_are_named(tmp_path: Path) -> None:
    names = ["b.csv", "test.csv", "train.csv.gz", "a.csv"]
    members: list[Member] = [(name, gzip.compress(CSV) if name.endswith("gz") else CSV) for name in names]
    path = pack(
        tmp_path / "a.zip", *members, ("metrics.csv", b"x,y\n1,2\n"), ("notes.txt", b"a, b\n"), ("p.png", b"\x89")
    )
    inspection = inspect_source(path)
    assert [file.name for file in inspection.files] == ["train.csv.gz", "test.csv", "a.csv", "b.csv"]
    assert [file.name for file in inspection.skipped_files] == ["metrics.csv", "notes.txt", "p.png"]
    assert (inspection.samples, inspection.split_counts) == (4, {"train": 1, "test": 1})


def test_conversations_do_not_run_on_into_the_next_file(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", ("ed/train.csv", ED), ("ed/valid.csv", ED), ("ed/pairs.jsonl", ROWS))
    source = open_source(path)
    assert [(sample.split, sample.turn) for sample in source] == [("train", 1), ("valid", 1)]
    assert source.format == "empathetic-dialogues"


def test_places_name_the_member(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", ("data/a.jsonl", ROWS + b"{\n"))
    [bad] = inspect_source(path).bad_row_examples
    assert bad.place == f"{path}/data/a.jsonl:4"


def test_a_zip_among_a_folders_files_gives_its_members(tmp_path: Path) -> None:
    pack(tmp_path / "b.zip", ("train.csv", CSV), ("c.csv", CSV))
    (tmp_path / "a.csv").write_bytes(CSV)
    source = open_source(tmp_path)
    assert [str(file) for file in source.data_files] == [
        f"{tmp_path}/{name}" for name in ("a.csv", "b.zip/train.csv", "b.zip/c.csv")
    ]
    assert len(source.files) == 2


def test_two_formats_are_an_error_unless_one_is_named(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", ("a.jsonl", ROWS), ("b.jsonl", MESSAGES))
    with pytest.raises(UserError, match=r"a\.jsonl is table; b\.jsonl is messages\): pass one file, or --format"):
        open_source(path)
    source = open_source(path, ReadingSettings(format="messages"))
    assert [file.name for file in source.data_files] == ["b.jsonl"]


@pytest.mark.parametrize("name", ["../a.jsonl", "x/../../a.jsonl", "/etc/a.jsonl", "..\\a.jsonl", "C:\\a.jsonl", "\\a"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = pack(tmp_path / "a.zip", ("good.jsonl", ROWS), (name, ROWS))
    with pytest.raises(UserError, match="a path that leads out of the zip"):
        open_source(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds a\.jsonl twice: unpack it, and pass the file that you mean"):
        open_source(pack(tmp_path / "a.zip", ("a.jsonl", ROWS), ("a.jsonl", ROWS)))


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", ("a.jsonl", ROWS))
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"is encrypted \(a\.jsonl needs a password\): unpack it first"):
        open_source(path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.jsonl")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(UserError, match=r"holds the link a\.jsonl: put the file itself into the zip"):
        open_source(pack(tmp_path / "a.zip", (link, b"/etc/passwd")))


def test_what_cannot_be_read_inside_a_zip_is_said_even_beside_data(tmp_path: Path) -> None:
    inner = pack(tmp_path / "inner.zip", ("a.jsonl", ROWS)).read_bytes()
    pl.DataFrame({"context": ["a"], "response": ["b"]}).write_parquet(tmp_path / "a.parquet")
    for name, content in {"a zip": inner, "Parquet": (tmp_path / "a.parquet").read_bytes()}.items():
        for members in ([("x", content)], [("x", content), ("y.jsonl", ROWS)]):
            with pytest.raises(UserError, match=rf"a\.zip/x is {name}.* inside a zip: unpack it first"):
                open_source(pack(tmp_path / "a.zip", *members))


def test_an_empty_zip_and_one_without_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.zip is empty: it has no files"):
        open_source(pack(tmp_path / "a.zip", ("__MACOSX/._a", b"x"), ("folder/", b"")))
    with pytest.raises(UserError, match=r"a\.zip has no file of a known format \(looked at a\.png, b\.jpg\)"):
        open_source(pack(tmp_path / "a.zip", ("a.png", b"\x89PNG"), ("b.jpg", b"\xff\xd8")))


@pytest.mark.parametrize("cut", [30, 100])
def test_a_zip_that_breaks_off_is_named(tmp_path: Path, cut: int) -> None:
    path = pack(tmp_path / "a.zip", ("a.jsonl", ROWS))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(UserError, match=r"a\.zip is a broken zip .*: copy or download the file again"):
        open_source(path)


def test_a_member_whose_bytes_changed_is_named(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", ("a.jsonl", ROWS * 500), method=zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[20_000] ^= 0x01
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"a\.zip/a\.jsonl: the zip is broken \(Bad CRC-32.*: copy"):
        inspect_source(path)


def test_a_packing_that_is_not_known_is_named(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", ("a.jsonl", ROWS))
    data = bytearray(path.read_bytes())
    for at in (data.find(b"PK\x03\x04") + 8, data.find(b"PK\x01\x02") + 10):
        data[at] = 9
    path.write_bytes(bytes(data))
    with pytest.raises(
        UserError, match=r"a\.zip/a\.jsonl is packed in a way that is not read .*: unpack the zip first"
    ):
        open_source(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LEAST_LIMIT", 2**20)
    path = pack(tmp_path / "a.zip", *((f"{i}.jsonl", ROWS * 2_500) for i in range(4)))
    with pytest.raises(UserError, match=r"unpack to more than .* pass --max-unpacked"):
        open_source(path)
    assert inspect_source(path, InspectionSettings(max_unpacked="10MB")).samples == 30_000


@pytest.mark.parametrize(
    ("member", "kind"),
    [
        ("xl/workbook.bin", "a binary Excel workbook"),
        ("word/document.xml", "a Word document"),
        ("content.xml", "an OpenDocument file"),
        ("Index/Document.iwa", "an Apple Numbers"),
    ],
)
def test_documents_that_are_zips_are_named(tmp_path: Path, member: str, kind: str) -> None:
    with pytest.raises(UserError, match=rf"a is {kind}.*: (save|export) .* CSV"):
        open_source(pack(tmp_path / "a", (member, b"<x/>")))
