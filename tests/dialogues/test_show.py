import json

from efficient_empathy.dialogues import inspect_source
from efficient_empathy.dialogues.show import as_record, as_text


def chat(path, *rows: object):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def turns(*texts: str, **rest: str) -> dict:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)], **rest}


def test_the_text_shows_counts_repairs_bad_rows_and_samples(tmp_path) -> None:
    source = chat(
        tmp_path / "c.jsonl",
        turns("I won!", "Hooray!\nTell me more.", category="joyful"),
        turns("I lost.", "x" * 300, category="sad"),
        {"messages": 7},
    )
    text = as_text(inspect_source(source))
    assert "Samples        2" in text
    assert "2: joyful 1, sad 1" in text
    assert "c.jsonl:3" in text
    assert "→ Listener: Hooray! Tell me more." in text
    assert "(100 more characters)" in text


def test_the_record_is_json_with_counts(tmp_path) -> None:
    record = as_record(inspect_source(chat(tmp_path / "c.jsonl", turns("Hi", "Ho"), turns("Hi", "Ho"), {})))
    assert json.loads(json.dumps(record)) == record
    assert (record["samples"], record["categories"], record["bad_rows"], record["duplicates"]) == (2, 0, 1, 1)
    assert record["examples"][0]["response"] == "Ho"
