import io
import json
from collections import Counter

from rich.console import Console

from efficient_empathy.demo import DIALOGUES, demo
from efficient_empathy.dialogues import inspect_source


def test_the_bundled_dialogues_are_whole() -> None:
    found = inspect_source(DIALOGUES)
    assert found.conversations >= 480
    assert len(found.category_counts) == 32
    assert set(found.split_counts) == {"train", "valid", "test"}
    assert (found.bad_rows, found.duplicates, len(found.repairs)) == (0, 0, 0)
    qualities: Counter[str] = Counter()
    for path in DIALOGUES.glob("*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            qualities.update(json.loads(line)["quality"])
    assert set(qualities) == {"warm", "practical", "cold", "preachy", "flat", "off_topic"}


def test_the_demo_goes_from_dialogues_to_a_page(tmp_path) -> None:
    result = demo(tmp_path / "run", Console(file=io.StringIO()))
    assert sum(result["subsets"].values()) == result["samples"] == 964
    assert all(result["subsets"][name] > 20 for name in ("sensibility", "rationality", "discard"))
    assert str(tmp_path / "run" / "report.html") in result["summary"]
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "<svg" in page
    again = demo(tmp_path / "run", Console(file=io.StringIO()))
    assert again["subsets"] == result["subsets"]
