"""What `select` writes, read as a source: the samples that were selected, and no other reply."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import polars as pl
import pytest
import yaml
from hypothesis import assume, given, settings

from efficient_empathy.dialogues import Intake, Sample, open_source
from efficient_empathy.dialogues.formats import find_reader
from efficient_empathy.dialogues.rows import Row
from efficient_empathy.dialogues.settings import ReadingSettings
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection import select
from scored_runs import write_run

PIECES = [
    *(
        "Speaker: ",
        "Listener: ",
        "</s>",
        "<s>",
        "[",
        '["a"]',
        '{"role": "user"}',
        '"',
        "'",
        ",",
        "\\",
        "\\n",
        "\n",
        "\r\n",
    ),
    *(
        "\t",
        " ",
        "\x0b",
        "\x1f",
        "\x7f",
        "\x85",
        "\xa0",
        "\u2028",
        "\ufeff",
        "\u200b",
        "é",
        "e\u0301",
        "\U0001f49c",
        "null",
    ),
    *("NaN", "true", "2024-01-01", "0", "1.0", "_comma_", "u", "a", "r", "\ud7ff", "\uffff", "# x", "---"),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(st.characters(exclude_categories=["Cs"]))
TURNS = st.lists(st.tuples(st.sampled_from(["speaker", "listener"]), TEXTS), max_size=7)
DIALOGUES = st.lists(st.tuples(TURNS, st.none() | TEXTS, st.sampled_from([None, "train", "val", "odd"])), max_size=5)
SCORES = ((9, 2), (2, 9), (3, 3))


def samples_of(dialogues: list[tuple[list[tuple[str, str]], str | None, str | None]]) -> list[Sample]:
    rows = [
        {"dialog": [{"speaker": role, "text": text} for role, text in turns], "category": category, "split": split}
        for turns, category, split in dialogues
    ]
    numbered = [Row(f"f:{number}", row, "f") for number, row in enumerate(rows, 1)]
    return [*find_reader("esconv").samples(numbered, Intake(ReadingSettings(on_bad_row="skip")))]


def facts(sample: Sample) -> tuple[object, ...]:
    return sample.id, sample.dialogue_id, sample.turn, sample.context, sample.response, sample.category, sample.split


def exported_files(folder: Path, subset: str) -> set[Path]:
    """A subset's files, as each tool's own entry names them."""
    register = json.loads((folder / "dataset_info.json").read_text("utf-8"))
    recipe = yaml.safe_load((folder / "axolotl.yaml").read_text("utf-8"))
    assert 'data_files=f"{SUBSET}.jsonl"' in (folder / "train_unsloth.py").read_text("utf-8")
    names = {f"{subset}.parquet", f"{subset}.jsonl", register[f"efficient_empathy_{subset}"]["file_name"]}
    names |= {data["path"] for data in recipe["datasets"] if data["path"].startswith(subset)}
    return {folder / name for name in names}


@settings(max_examples=25)
@given(dialogues=DIALOGUES, shift=st.integers(0, 2))
def test_every_export_comes_back_as_the_samples_selected(dialogues, shift) -> None:
    samples = samples_of(dialogues)
    assume(samples)
    pairs = [SCORES[(i + shift) % 3] for i in range(len(samples))]
    with tempfile.TemporaryDirectory() as folder:
        axes = {"sensibility": [s for s, _ in pairs], "rationality": [r for _, r in pairs]}
        workspace = write_run(Path(folder), samples, axes)
        select(workspace)
        assigned = pl.read_parquet(workspace.assignments)["subset"].to_list()
        for subset in ("sensibility", "rationality", "discard"):
            selected = [facts(sample) for sample, its in zip(samples, assigned, strict=True) if its == subset]
            for path in exported_files(workspace.selection, subset) if selected else ():
                source = open_source(path)
                assert source.format in ("messages", "completion")
                assert [facts(sample) for sample in source] == selected, path.name


def test_a_selection_s_folder_is_no_source_since_it_has_every_subset_twice(run) -> None:
    workspace = run([(8, 2), (2, 8), (1, 1)])
    select(workspace)
    with pytest.raises(UserError, match=r"is a selection.*pass one, such as .*rationality\.jsonl"):
        open_source(workspace.selection)
    assert len([*open_source(workspace.root)]) == 3


@pytest.mark.parametrize("text", ["<image> look at my cat", "what is this? <image>", "<image>"])
def test_no_placeholder_of_an_image_reaches_an_export(tmp_path, text) -> None:
    """LLaMA-Factory stops at one, since the files have no images."""
    source = tmp_path / "chats.jsonl"
    turns = [[text, "nice"], ["I lost my keys", "oh no"], ["hello", text]]
    rows = [[{"role": "user", "content": a}, {"role": "assistant", "content": b}] for a, b in turns]
    source.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in rows), "utf-8")
    samples = [*open_source(source)]
    workspace = write_run(tmp_path / "run", samples, dict.fromkeys(("sensibility", "rationality"), [9] * len(samples)))
    assert sum(select(workspace).subsets.values()) == 1
    for file in workspace.selection.glob("*.jsonl"):
        assert "<image>" not in file.read_text("utf-8")
