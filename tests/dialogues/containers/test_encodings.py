from __future__ import annotations

import json
from pathlib import Path

import pytest

from efficient_empathy.dialogues import inspect_source, open_source
from efficient_empathy.dialogues.settings import InspectionSettings, ReadingSettings
from efficient_empathy.foundation.errors import UserError

TEXTS = {
    "cp1252": "Ça va? J’ai déjà été seul à Noël…",
    "cp1250": "Zażółć gęślą jaźń, jestem bardzo zmęczony",
    "cp1254": "Bugün çok üzgünüm, işimi kaybettim, şaşkınım",
    "mac_roman": "J’ai déjà été seul, où étais-tu?",
    "cp850": "Das schöne Fest war früher vorüber, è vero",
    "cp1251": "Привет, сегодня я потерял работу и не знаю, что делать",
    "koi8-r": "Привет, сегодня я потерял работу и не знаю, что делать",
    "cp866": "Привет, сегодня я потерял работу и не знаю, что делать",
    "cp1253": "Καλημέρα, σήμερα είμαι πολύ λυπημένος",
    "cp1255": "שלום, היום איבדתי את העבודה שלי",
    "cp1256": "مرحبا، اليوم فقدت وظيفتي وأنا حزين",
    "cp874": "สวัสดี วันนี้ฉันเศร้ามาก",
    "gb18030": "你好，我今天很难过，因为我失去了工作。",
    "big5": "你好，我今天很難過，因為我失去了工作。",
    "cp932": "こんにちは、今日はとても悲しいです。",
    "euc-jp": "こんにちは、今日はとても悲しいです。",
    "cp949": "안녕하세요, 오늘은 정말 슬퍼요.",
}
UNMARKED = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "iso2022_jp"]


def write(path: Path, encoding: str, text: str) -> Path:
    path.write_bytes(f"context;response\n{text};oh\n{text};well\n".encode(encoding))
    return path


@pytest.mark.parametrize("encoding", [*TEXTS, *UNMARKED])
def test_the_error_names_the_option_that_reads_the_file(tmp_path: Path, encoding: str) -> None:
    text = TEXTS.get(encoding, "こんにちは" if encoding == "iso2022_jp" else "I won, naïvely")
    path = write(tmp_path / "a.csv", encoding, text)
    with pytest.raises(UserError, match=rf"not UTF-8; it looks like {encoding}: pass --encoding {encoding}"):
        inspect_source(path)
    source = open_source(path, ReadingSettings(encoding=encoding))
    assert [(sample.context[0].text, sample.response) for sample in source] == [(text, "oh"), (text, "well")]


@pytest.mark.parametrize("encoding", ["cp1252", "gb18030", "utf-16-le"])
def test_json_is_read_in_a_named_encoding_too(tmp_path: Path, encoding: str) -> None:
    rows = [{"context": TEXTS.get(encoding, "naïve 🎉"), "response": "oh"}] * 2
    for name, text in {
        "a.json": json.dumps(rows, ensure_ascii=False),
        "a.jsonl": f"{rows[0]}".replace("'", '"'),
    }.items():
        path = tmp_path / name
        path.write_bytes(text.replace("’", "`").encode(encoding))
        sample = next(iter(open_source(path, ReadingSettings(encoding=encoding))))
        assert sample.context[0].text == rows[0]["context"].replace("’", "`")


def test_a_few_broken_bytes_in_utf8_are_no_other_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("context,response\nJ’ai été là,oui\nJ’ai ét\xff là,oui\n".encode().replace(b"\xc3\xbf", b"\xff"))
    [bad] = inspect_source(path).bad_row_examples
    assert (bad.place, bad.reason) == (f"{path}:3", "not UTF-8, though its other characters are: mend the line")


def test_bytes_that_the_named_encoding_lacks_are_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"context,response\ncaf\xe9,a\n\x81\x8d,b\nc,d\n")
    inspection = inspect_source(path, InspectionSettings(encoding="cp1252"))
    assert inspection.samples == 2
    assert [bad.place for bad in inspection.bad_row_examples] == [f"{path}:3"]
    assert "holds bytes that are not cp1252" in inspection.bad_row_examples[0].reason


def test_a_byte_order_mark_counts_more_than_the_named_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for marked in ("utf-8-sig", "utf-16"):
        path.write_bytes("context,response\ncafé,oh\n".encode(marked))
        [sample] = open_source(path, ReadingSettings(encoding="cp1252"))
        assert sample.context[0].text == "café"


@pytest.mark.parametrize("ending", ["\r", "\r\n", "\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_every_line_end_is_one(tmp_path: Path, ending: str, encoding: str) -> None:
    path = tmp_path / "a"
    rows = ["context,response", *(f'"café{ending}{i}",oh' for i in range(5_000))]
    path.write_bytes(ending.join(rows).encode(encoding))
    reading = ReadingSettings(encoding=None if encoding == "utf-8" else "cp1252")
    texts = [sample.context[0].text for sample in open_source(path, reading)]
    assert [text.split() for text in texts] == [["café", str(i)] for i in range(5_000)]


def test_old_line_ends_make_json_lines_as_well(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text('{"context": "hi", "response": "oh"}\r' * 3, newline="")
    assert inspect_source(path).samples == 3
