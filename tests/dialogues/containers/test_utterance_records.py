from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from efficient_empathy.dialogues import inspect_source, open_source

Write = Callable[..., Path]
CASES = Path(__file__).parent / "cases"
HEADER = ["conv_id", "utterance_idx", "context", "prompt", "speaker_idx", "utterance", "selfeval", "tags"]
AWKWARD = [
    'He said:\n\n"no, 3, never"\n',
    "one\r\ntwo, with a comma",
    '"all of it"',
    'a lone " quote',
    '"begins and does not end',
    "c9,2,sad,p,1,a line that looks like a record\nand goes on",
    "plain",
    "  \nblank first line",
]


def contexts(path: Path) -> list[list[str]]:
    return [[turn.text for turn in sample.context] + [sample.response] for sample in open_source(path)]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_resaved_file_gives_back_every_text(write: Write, quoting: int, delimiter: str) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=quoting, delimiter=delimiter)  # type: ignore[arg-type]
    writer.writerow(HEADER)
    for number, text in enumerate(AWKWARD):
        prompt = f"the situation, in\ntwo lines {number}"
        writer.writerow([f"c{number}", 1, "sad", prompt, 0, text, "5|5", ""])
        writer.writerow([f"c{number}", 2, "sad", prompt, 1, f"{text} indeed", "5|5", ""])
    path = write("train.csv", stream.getvalue())
    inspection = inspect_source(path)
    assert (inspection.samples, inspection.bad_rows, inspection.repairs) == (len(AWKWARD), 0, {})
    assert contexts(path) == [[text.strip(), f"{text} indeed".strip()] for text in AWKWARD]


def test_the_official_files_bare_quotes_stay_text(write: Write) -> None:
    texts = [
        '"open and never closed',
        'a "quoted" word',
        '"Alone"_comma_ he said',
        'ends with one"',
        '"',
        "plain",
        '"last',
    ]
    lines = [",".join(HEADER)]
    for number, text in enumerate(texts):
        lines += [f"hit:{number}_conv:{number},{turn},sad,p,{turn},{text},5|5," for turn in (1, 2)]
    path = write("train.csv", "\n".join(lines) + "\n\n")
    inspection = inspect_source(path)
    assert (inspection.samples, inspection.bad_rows) == (len(texts), 0)
    assert contexts(path) == [[text.replace("_comma_", ",")] * 2 for text in texts]


def test_a_text_that_is_neither_is_one_bad_row(write: Write) -> None:
    lines = [
        ",".join(HEADER[:6]),
        'a,1,sad,p,0,"It began',
        'and he said "no" there',
        "b,1,sad,p,0,hi",
        "b,2,sad,p,1,oh",
    ]
    inspection = inspect_source(path := write("train.csv", "\n".join(lines)))
    assert inspection.samples == 1
    assert [(bad.place, bad.reason) for bad in inspection.bad_row_examples] == [
        (f"{path}:2", "a quoted field begins here and is not closed: close or double the quote")
    ]


def test_the_header_of_a_second_file_is_left_out(write: Write) -> None:
    rows = "a,1,sad,p,0,hi,,\na,2,sad,p,1,oh,,\n"
    text = ",".join(HEADER) + "\n" + rows
    inspection = inspect_source(write("train.csv", f"{text}\ufeff{text.replace('a,', 'b,')}"))
    assert (inspection.samples, inspection.bad_rows) == (2, 0)
    assert inspection.repairs == {
        "byte-order marks inside the file left out": 1,
        "repeated header lines left out": 1,
    }


def test_official_and_resaved_files_give_twelve_samples() -> None:
    official = contexts(CASES / "ed_official.csv")
    resaved = contexts(CASES / "ed_resaved_by_pandas.csv")
    lines = contexts(CASES / "ed_multi_line.csv")
    assert [len(official), len(resaved), len(lines)] == [12, 12, 12]
    assert not any("_comma_" in text for turns in official for text in turns)
    assert resaved[0][0] == "I lost my job at the bakery this morning.\nsecond line, with a comma"
    assert lines[0][0].splitlines()[1] == "It hurts, it lasts, it stays, it grows, it bites, truly"
    assert not any('"' in text for turns in resaved + lines for text in turns)
