from __future__ import annotations

import pytest

from efficient_empathy.dialogues import inspect_source, read_evaluations
from shared_data import FOLDER, needs_shared_data

pytestmark = needs_shared_data
ED = FOLDER / "empathetic_dialogues"


@pytest.mark.parametrize(("split", "samples"), [("valid", 5_736), ("test", 5_257)])
def test_the_official_files(split: str, samples: int) -> None:
    found = inspect_source(ED / f"{split}.csv.gz")
    assert (found.format, found.samples, len(found.category_counts)) == ("empathetic-dialogues", samples, 32)
    assert found.split_counts == {split: samples}
    assert found.bad_rows == 0


def test_the_official_folder() -> None:
    found = inspect_source(ED)
    assert [path.name for path in found.files] == ["train.csv.gz", "valid.csv.gz", "test.csv.gz"]
    assert (found.format, found.bad_rows) == ("empathetic-dialogues", 0)
    assert (found.split_counts, len(found.category_counts)) == ({"train": 40_252, "valid": 5_736, "test": 5_257}, 32)
    assert found.conversations + found.repairs["conversations of one utterance left out"] == 19_532 + 2_769 + 2_546


def test_the_pairs_and_their_judgements_are_the_same_samples() -> None:
    pairs = inspect_source(ED / "valid_pairs.jsonl.gz")
    judged = inspect_source(FOLDER / "chatgpt_judgements" / "valid.json.gz")
    for found in (pairs, judged):
        assert (found.format, found.samples, found.bad_rows, found.repairs) == ("judged", 5_734, 0, {})
    assert [sample.id for sample in pairs.examples] == [sample.id for sample in judged.examples]
    assert sum(1 for _ in read_evaluations(FOLDER / "chatgpt_judgements" / "valid.json.gz")) == 5_734


@pytest.mark.parametrize(("name", "conversations"), [("esconv", 1_300), ("failed_esconv", 196)])
def test_emotional_support_conversations(name: str, conversations: int) -> None:
    found = inspect_source(FOLDER / "esconv" / f"{name}.jsonl.gz")
    assert (found.format, found.conversations, found.bad_rows) == ("esconv", conversations, 0)
