import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from efficient_empathy.evaluation.pairs import pair_texts, read_pairs, read_systems
from efficient_empathy.foundation.errors import UserError

TEXTS = ["oh no .", "", "i see !"]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], Path]:
    def written(name: str, content: Any) -> Path:
        path = tmp_path / name
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return written


Write = Callable[[str, Any], Path]


def lines(texts: list[str]) -> str:
    return "".join(text + "\n" for text in texts)


def test_lists_are_rows_of_one_dialogue_each() -> None:
    assert pair_texts(["a", ""], ["b", "c"]).to_dict(as_series=False) == {
        "id": ["1", "2"], "dialogue_id": ["1", "2"], "prediction": ["a", ""], "reference": ["b", "c"],
    }  # fmt: skip


def test_lists_of_different_lengths_and_nulls_are_errors() -> None:
    with pytest.raises(UserError, match="2 predictions and 1 references"):
        pair_texts(["a", "b"], ["c"])
    with pytest.raises(UserError, match="prediction 2 is 'None'"):
        pair_texts(["a", None], ["c", "d"])  # type: ignore[list-item]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_files_have_one_response_a_line_and_blank_lines_are_empty_ones(write: Write, end: str) -> None:
    predictions = write("p.txt", f"  oh no .  {end}{end}i see !")
    found = read_pairs(predictions, write("r.txt", lines(["a", "b", "c"])))
    assert found["prediction"].to_list() == TEXTS


def test_a_last_blank_line_counts_and_a_last_line_end_does_not(write: Write) -> None:
    assert len(read_pairs(write("p.txt", "a\n\n"), write("r.txt", "a\nb"))) == 2


ROWS = [{"sample_id": f"s{i}", "response": text, "finish_reason": "stop"} for i, text in enumerate(TEXTS)]


def as_parquet(path: Path) -> Path:
    pl.DataFrame(ROWS).write_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["g.jsonl", "g.jsonl.gz", "g.csv", "g.tsv", "g.json", "g.parquet"])
def test_one_row_a_response_in_any_container(write: Write, tmp_path: Path, kind: str) -> None:
    frame = pl.DataFrame(ROWS)
    match kind:
        case "g.parquet":
            predictions = as_parquet(tmp_path / kind)
        case "g.csv" | "g.tsv":
            predictions = write(kind, frame.write_csv(separator="\t" if kind == "g.tsv" else ","))
        case "g.json":
            predictions = write(kind, json.dumps(ROWS))
        case _:
            predictions = write(kind, ROWS)
    found = read_pairs(predictions, write("r.txt", lines(["a", "b", "c"])))
    assert found["prediction"].to_list() == TEXTS
    assert found["id"].to_list() == ["s0", "s1", "s2"]


def test_the_names_of_columns(write: Write) -> None:
    references = write("r.jsonl", [{"text": "x"}, {"text": "y"}])
    for key in ("prediction", "predict", "response", "text"):
        assert read_pairs(write(f"{key}.jsonl", [{key: "a"}, {key: "b"}]), references)["prediction"].to_list() == [
            "a",
            "b",
        ]
    both = write("both.jsonl", [{"prediction": "a", "reference": "x", "dialogue_id": 7, "emotion": "sad"}])
    assert read_pairs(both).to_dicts() == [
        {"id": "1", "dialogue_id": "7", "prediction": "a", "reference": "x", "category": "sad"}
    ]


def test_ids_match_rows_that_stand_in_another_order(write: Write) -> None:
    predictions = write("p.jsonl", [{"id": "b", "text": "B"}, {"id": "a", "text": "A"}])
    context = [{"role": "speaker", "text": "hi"}]
    references = write("r.jsonl", [
        {"sample_id": i, "response": i, "dialogue_id": "d", "context": context} for i in ("a", "b")
    ])  # fmt: skip
    found = read_pairs(predictions, references)
    assert found["prediction"].to_list() == ["A", "B"]
    assert found["dialogue_id"].to_list() == ["d", "d"]
    assert found["context"].to_list() == [context] * 2


def test_different_ids_are_named(write: Write) -> None:
    predictions = write("p.jsonl", [{"id": i, "text": "x"} for i in range(6)])
    references = write("r.jsonl", [{"id": i, "text": "x"} for i in range(5, 9)])
    message = r"p\.jsonl has 6 rows and .*r\.jsonl 4; .*r\.jsonl lacks 5 of the ids in .*p\.jsonl: '0', '1', '2', …"
    with pytest.raises(UserError, match=message):
        read_pairs(predictions, references)
    twice = write("t.jsonl", [{"id": 5, "text": "x"}] * 4)
    with pytest.raises(UserError, match=r"t\.jsonl has the id '5' more than once"):
        read_pairs(twice, references)


def test_repeated_ids_in_the_same_order_are_matched_by_row(write: Write) -> None:
    rows = [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]
    assert len(read_pairs(write("p.jsonl", rows), write("r.jsonl", rows))) == 2


def test_different_lengths_name_both_counts_and_files(write: Write) -> None:
    with pytest.raises(UserError, match=r"p\.txt has 2 rows and .*r\.txt 3, and not both have ids"):
        read_pairs(write("p.txt", "a\nb\n"), write("r.txt", "a\nb\nc\n"))


def test_a_file_of_many_systems(write: Write) -> None:
    rows = [
        {"row": 0, "reference": "x", "conv_id": "c", "outputs": {"one": "a", "two": "b"}},
        {"row": 1, "reference": "y", "conv_id": "c", "outputs": {"one": ""}},
    ]
    file = write("outputs.jsonl.gz", rows)
    found = read_systems(file)
    assert {name: frame.rows() for name, frame in found.items()} == {
        "one": [("0", "c", "a", "x"), ("1", "c", "", "y")],
        "two": [("0", "c", "b", "x")],
    }
    with pytest.raises(UserError, match="outputs of 2 systems: choose of one, two"):
        read_pairs(file)
    with pytest.raises(UserError, match="no outputs of 'three'"):
        read_pairs(file, system="three")
    others = read_systems(file, write("r.jsonl", [{"id": 1, "text": "Y"}, {"id": 0, "text": "X"}]))
    assert others["one"].select("prediction", "reference").rows() == [("", "Y"), ("a", "X")]
    assert others["two"]["reference"].to_list() == ["X"]


def test_one_system_is_called_by_its_file(write: Write) -> None:
    assert list(read_systems(write("mine.jsonl.gz", [{"prediction": "a", "reference": "b"}]))) == ["mine"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.jsonl", '{"text": "a"}\n{"text": null}\n', "p.jsonl:2: 'text' is null"),
        ("p.jsonl", '{"text": "a"}\n{"words": "b"}\n', "p.jsonl:2: has none of prediction, predict, response, text"),
        ("p.jsonl", '{"text": "a"}\n{"text": \n', "p.jsonl:2: not JSON"),
        ("p.jsonl", '{"text": \n', "p.jsonl:1: not JSON"),
        ("p.jsonl", '{"text": 5}\n', "p.jsonl:1: 'text' is '5', not text"),
        ("p.jsonl", '["a"]\n', "p.jsonl:1: \"['a']\" is not a JSON object"),
        ("p.jsonl", '{"id": 1, "text": "a"}\n{"text": "b"}\n', "p.jsonl:2: not all rows of the file have 'id'"),
        ("p.jsonl", '{"outputs": ["a"]}\n', "p.jsonl:1: 'outputs' is \"['a']\", not an object of texts by system"),
        ("p.jsonl", '{"outputs": {"x": null}}\n', "p.jsonl:1: 'x' is null"),
        ("p.jsonl", "", "p.jsonl is empty"),
        ("p.txt", "", "p.txt is empty"),
        ("p.txt", b"a\ncaf\xe9\n", "p.txt:2: not UTF-8"),
        ("p.txt", b"a\nb\0\n", "p.txt:2: holds a NUL byte"),
        ("p.csv", 'text,id\na,1\nb\n', "p.csv:3: 1 fields where the header has 2"),
        ("p.parquet", "a\n", "cannot read the Parquet data of "),
    ],
)  # fmt: skip
def test_faults_name_file_and_line(write: Write, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message).replace("'p", ".*p")):
        read_pairs(write(name, content), write("r.txt", "a\nb\n"))


def test_a_missing_file_and_missing_references_are_errors(write: Write, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.txt is not a file"):
        read_pairs(tmp_path / "none.txt")
    with pytest.raises(UserError, match=r"p\.txt has no references: give their file with --references"):
        read_pairs(write("p.txt", "a\n"))
